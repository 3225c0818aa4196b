"""How good are the codes? Softmax regression on them, and the errors of a classifier."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aetrain.data.split import Split
from aetrain.lbfgs import lbfgs
from aetrain.models import Autoencoder

HISTORY = 100  # of L-BFGS


class Classifier(nn.Module):
    """Encoders one after another, then a linear layer: (B, C, H, W) -> (B, classes) logits."""

    def __init__(self, encoders: Sequence[Autoencoder], head: nn.Linear):
        super().__init__()
        self.encoders, self.head = nn.ModuleList(encoders), head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(code(self.encoders, x))


def code(encoders: Sequence[Autoencoder], x: Tensor) -> Tensor:
    """The last encoder's code; what stands between two encoders has the form of an image of one row. (B, D)"""
    for encoder in encoders:
        x = encoder.encode(x).flatten(1)[:, None, None, :]
    return x.flatten(1)


@torch.no_grad()
def encoded(encoder: Autoencoder, split: Split) -> Split:
    """The split with codes for images: floats (N, 1, 1, D)."""
    parts = [(encoder.encode(x).flatten(1), y) for x, y in split.chunks(1000)]
    if not parts:
        codes = torch.zeros(0, 1, 1, math.prod(encoder.code_shape), device=split.device)
        return Split(codes, torch.zeros(0, dtype=torch.int64, device=split.device))
    codes, labels = (torch.cat(column) for column in zip(*parts, strict=True))
    return Split(codes[:, None, None, :], labels)


def softmax_regression(split: Split, classes: int, decay: float, iterations: int) -> nn.Linear:
    """The layer that minimises the mean cross-entropy + decay · Σ w², biases left out: convex, by so many iterations of
    L-BFGS in float64 from zero. split: floats (N, 1, 1, D)."""
    x, y = split.first(len(split))
    x = x.flatten(1).double()
    head = nn.Linear(x.shape[1], classes, dtype=torch.float64, device=x.device)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = lbfgs(head.parameters(), iterations, HISTORY)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(head(x), y) + decay * head.weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return head.float()


@torch.no_grad()
def error_percent(classifier: nn.Module, split: Split) -> float:
    """Images that are classified wrongly, in percent."""
    wrong = [(classifier(x).argmax(1) != y).sum() for x, y in split.chunks(1000)]
    return 100 * float(torch.stack(wrong).sum()) / len(split)
