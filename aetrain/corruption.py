"""What is done to an image that a denoising model is to mend."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain.noise import Noise


def corrupted(x: Tensor, kind: str, level: Tensor, noise: Noise) -> Tensor:
    """masking: a fixed share `level` of an image's values, drawn at random, is set to 0 (Vincent et al. 2008, section
    2.3). independent_masking: each value with that probability. occlusion: a rectangle of that share of the area and of
    the image's proportions, anywhere in it. salt_and_pepper: each value is set to 0 or 1 with half that probability.
    gaussian: x + level · ε, not clipped. x: (B, C, H, W) -> the same; level: 0-D."""
    if kind == "gaussian":
        return x + level * noise.randn_like(x)
    if kind == "masking":
        return torch.where(noise.ranks_like(x) < torch.round(level * x[0].numel()), 0.0, x)
    if kind == "occlusion":
        return torch.where(_occluded(x, level, noise), 0.0, x)
    # Uniform noise compared with the level, not a Bernoulli draw with that level: the same numbers then serve every
    # level of a stacked sweep.
    u = noise.rand_like(x)
    if kind == "independent_masking":
        return torch.where(u < level, 0.0, x)
    return torch.where(u < 0.5 * level, 0.0, torch.where(u < level, 1.0, x))


def _occluded(x: Tensor, level: Tensor, noise: Noise) -> Tensor:
    """Where a rectangle hides an image: (B, C, H, W) -> (B, 1, H, W), bool."""
    corner = noise.rand_like(x.new_empty(len(x), 2))  # of the room that the rectangle leaves
    inside = []
    for axis, size in enumerate(x.shape[2:]):
        side = torch.round(size * level.sqrt())
        first = torch.floor(corner[:, axis, None] * (size - side + 1))  # (B, 1)
        place = torch.arange(size, device=x.device)
        inside.append((place >= first) & (place < first + side))  # (B, size)
    return (inside[0][:, :, None] & inside[1][:, None, :]).unsqueeze(1)
