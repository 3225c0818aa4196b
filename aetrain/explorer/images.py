"""The images that the page carries."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aetrain.data.split import Split
from aetrain.explorer.arrays import packed_size

TRIED = 100  # images, by whose size that of all is guessed
FEWEST = 20  # however large they are


@dataclass(frozen=True)
class Shown:
    """Spread evenly over a split. index: (N,), which they are; x: (N, C, H, W) in [0, 1]; y: (N,); stored: x as bytes,
    where nothing is lost by that, else x."""

    index: Tensor
    x: Tensor
    y: Tensor
    stored: Tensor


def shown(split: Split, most: int, room: int, beside: int = 0) -> Shown:
    """At most so many, and at most so many bytes of a page. beside: bytes that go with each of them."""
    tried = _of(split, min(TRIED, most))
    each = packed_size(tried.stored) / len(tried.index) + beside
    found = _of(split, min(most, max(FEWEST, int(room / each))))
    while (size := packed_size(found.stored) + beside * len(found.index)) > room and len(found.index) > FEWEST:
        found = _of(split, max(FEWEST, int(0.98 * len(found.index) * room / size)))
    return found


def _of(split: Split, n: int) -> Shown:
    n = min(n, len(split))
    index = torch.arange(n) * len(split) // n
    x, y = (part.cpu() for part in split.gather(index.to(split.labels.device)))
    x = x.float()
    as_bytes = (255 * x).round().clamp(0, 255).to(torch.uint8)
    exact = bool(((as_bytes.float() / 255 - x).abs() < 1e-6).all())
    return Shown(index, x, y, as_bytes if exact else x)
