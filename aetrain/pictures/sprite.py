"""Many images in one square, for TensorBoard's projector."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LARGEST = 8192  # pixels of a side, for what a browser's graphics card takes


def most(image_shape: tuple[int, ...]) -> int:
    """How many images of a shape a sprite can hold."""
    return (LARGEST // max(image_shape[-2:])) ** 2


def sprite(images: Tensor) -> Tensor:
    """Row after row in a square with as many places as fit, black where there is no image; images that are not square
    stand in the corner of a square. (N, C, H, W) in [0, 1] -> (3, S, S)."""
    n, channels, height, width = images.shape
    side, places = max(height, width), math.ceil(math.sqrt(n))
    canvas = torch.zeros(places * places, 3, side, side)
    canvas[:n, :, :height, :width] = images.float().cpu() if channels in (1, 3) else images[:, :1].float().cpu()
    rows = canvas.unflatten(0, (places, places))  # (row, column, 3, side, side)
    return rows.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)
