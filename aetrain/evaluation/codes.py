"""The codes of a split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from aetrain.data.split import Split
from aetrain.evaluation.terms import evaluating
from aetrain.models import Autoencoder

AT_ONCE = 1000  # images


class Codes(NamedTuple):
    """z: (N, D), codes flattened; y: labels (N,), UNLABELLED where there are none. On the split's device."""

    z: Tensor
    y: Tensor


def code_chunks(model: Autoencoder, split: Split, most: int | None = None, at_once: int = AT_ONCE) -> Iterator[Codes]:
    """The codes of all images in order, or of the first `most`, a portion at a time: means of the posterior, for a
    model that has one."""
    with evaluating(model), torch.no_grad():
        for x, y in split.chunks(at_once, most):
            yield Codes(model.encode(x, y).flatten(1).to(torch.get_default_dtype()), y)


def codes(model: Autoencoder, split: Split, most: int | None = None, at_once: int = AT_ONCE) -> Codes:
    """`code_chunks` in one piece."""
    parts = list(code_chunks(model, split, most, at_once))
    if not parts:
        empty = torch.zeros(0, *model.code_shape, device=split.device)
        return Codes(empty.flatten(1), torch.zeros(0, dtype=torch.int64, device=split.device))
    return Codes(*(torch.cat(column) for column in zip(*parts, strict=True)))
