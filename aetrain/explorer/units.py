"""What the units of a code fire for."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

MOST = 32  # units
IMAGES = 8  # of each


@dataclass(frozen=True)
class Units:
    """The units that vary most. units: (U,), which they are; images: (U, IMAGES), places of the images that move each
    most, the strongest first; largest: (U,), the highest activation; share: (U,), of the images that give a unit more
    than a tenth of that."""

    units: list[int]
    images: list[list[int]]
    largest: list[float]
    share: list[float]


def firing(codes: Tensor, order: list[int]) -> Units:
    """codes: (N, D); order: of the dimensions, the most active first."""
    units = order[:MOST]
    values = codes[:, units]  # (N, U)
    found = values.topk(min(IMAGES, len(values)), dim=0)
    largest = values.amax(0)
    share = ((values > 0.1 * largest) & (largest > 0)).float().mean(0)
    return Units(units, found.indices.T.tolist(), largest.tolist(), share.tolist())
