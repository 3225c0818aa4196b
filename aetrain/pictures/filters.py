"""What the units of the first layer look for."""

from __future__ import annotations

import torch
from torch import Tensor


def filters(weight: Tensor, image_shape: tuple[int, ...]) -> Tensor:
    """The weights of the first layer's units as images, by index: picked without looking, and the same ones in all runs
    that are compared. Each is scaled by its largest magnitude; 0 is mid-grey. weight: (n, C·H·W) -> (n, C, H, W)."""
    weight = weight.float()
    scale = weight.abs().amax(1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny)
    return (0.5 + 0.5 * weight / scale).unflatten(1, tuple(image_shape))
