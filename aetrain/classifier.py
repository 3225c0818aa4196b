"""How good are the codes? Softmax regression on them, and a classifier fine-tuned through the encoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aetrain.data.split import Split, to_unit
from aetrain.models import Autoencoder
from aetrain.training.batches import Batches
from aetrain.training.lbfgs import lbfgs

HISTORY = 100  # of L-BFGS
ITERATIONS = 20  # of L-BFGS between two reports


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
        x = encoder.encode(x)[:, None, None, :]
    return x.flatten(1)


@torch.no_grad()
def encoded(encoder: Autoencoder, split: Split) -> Split:
    """The split with codes for images: floats (N, 1, 1, D)."""
    codes = [encoder.encode(to_unit(part)) for part in split.images.split(1000)]
    if not codes:
        return Split(split.images.new_zeros(0, 1, 1, encoder.config.latent_dim, dtype=torch.float32), split.labels)
    return Split(torch.cat(codes)[:, None, None, :], split.labels)


def softmax_regression(split: Split, classes: int, decay: float, iterations: int) -> nn.Linear:
    """The layer that minimises the mean cross-entropy + decay · Σ w², biases left out: convex, by so many iterations of
    L-BFGS in float64 from zero. split: floats (N, 1, 1, D)."""
    x, y = split.images.flatten(1).double(), split.labels
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


def fine_tune(classifier: Classifier, train: Split, val: Split, *, epochs: int, lr: float, batch_size: int,
              decay: float, seed: int, say: Callable[[int, int, float], None]) -> None:  # fmt: skip
    """Adam on the mean cross-entropy + decay · Σ w² of the head, through all encoders, with a learning rate that falls
    to zero on a cosine. With validation images the epoch of the fewest errors on them is kept, else the last.
    `say` is called with every epoch, their number and its error in percent (of val, or train without one)."""
    optimizer = torch.optim.Adam(classifier.parameters(), lr=lr)
    batches = Batches(train, batch_size, seed)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches.per_epoch)
    best, kept = float("inf"), None
    for epoch in range(epochs):
        for step in range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch):
            x, y = batches.get(step)
            loss = F.cross_entropy(classifier(x), y) + decay * classifier.head.weight.square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        error = error_percent(classifier, val if len(val) else train)
        say(epoch + 1, epochs, error)
        if len(val) and error < best:
            best, kept = error, {name: value.clone() for name, value in classifier.state_dict().items()}
    if kept is not None:
        classifier.load_state_dict(kept)


def fine_tune_lbfgs(classifier: Classifier, train: Split, *, iterations: int, decay: float,
                    say: Callable[[int, int, float], None]) -> None:  # fmt: skip
    """The objective of `fine_tune` by L-BFGS on all training images at once. `say` is called now and then with the
    iterations done, their number and the error on these images in percent."""
    x, y = to_unit(train.images), train.labels
    optimizer = lbfgs(classifier.parameters(), ITERATIONS, HISTORY)

    def objective() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(classifier(x).double(), y) + decay * classifier.head.weight.square().sum()
        loss.backward()
        return loss

    for done in range(0, iterations, ITERATIONS):
        optimizer.param_groups[0]["max_iter"] = min(ITERATIONS, iterations - done)
        optimizer.step(objective)
        say(min(done + ITERATIONS, iterations), iterations, error_percent(classifier, train))


@torch.no_grad()
def error_percent(classifier: nn.Module, split: Split) -> float:
    """Images that are classified wrongly, in percent."""
    wrong = [
        (classifier(to_unit(x)).argmax(1) != y).sum()
        for x, y in zip(split.images.split(1000), split.labels.split(1000), strict=True)
    ]
    return 100 * float(torch.stack(wrong).sum()) / len(split)
