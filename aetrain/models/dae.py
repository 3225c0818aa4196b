"""Denoising autoencoder (Vincent et al. 2008)."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain.models.autoencoder import Autoencoder


class DAE(Autoencoder):
    """L(x) = recon(x, decode(encode(x̃))) with x̃ ~ M(x̃ | x): a corrupted image is encoded, the clean one is the
    target. In evaluation the corruption of an image is always the same, so that the validation curve does not jitter.

    masking: a fixed share `corruption_level` of an image's values, drawn at random, is set to 0 (Vincent et al. 2008,
    section 2.3). independent_masking: each value with that probability. occlusion: a rectangle of that share of the
    area and of the image's proportions, anywhere in it. salt_and_pepper: each value is set to 0 or 1 with half that
    probability. gaussian: x̃ = x + corruption_level · ε, not clipped.
    """

    def corrupt(self, x: Tensor) -> Tensor:
        level = self.corruption_level
        if self.config.corruption == "gaussian":
            return x + level * self.noise.randn_like(x)
        if self.config.corruption == "masking":
            return torch.where(self.noise.ranks_like(x) < torch.round(level * x[0].numel()), 0.0, x)
        if self.config.corruption == "occlusion":
            return torch.where(self.occluded(x), 0.0, x)
        # Uniform noise compared with the level, not a Bernoulli draw with that level: the same numbers then serve
        # every level of a stacked sweep.
        u = self.noise.rand_like(x)
        if self.config.corruption == "independent_masking":
            return torch.where(u < level, 0.0, x)
        return torch.where(u < 0.5 * level, 0.0, torch.where(u < level, 1.0, x))

    def occluded(self, x: Tensor) -> Tensor:
        """Where a rectangle hides an image: (B, C, H, W) -> (B, 1, H, W), bool."""
        corner = self.noise.rand_like(x.new_empty(len(x), 2))  # of the room that the rectangle leaves
        inside = []
        for axis, size in enumerate(x.shape[2:]):
            side = torch.round(size * self.corruption_level.sqrt())
            first = torch.floor(corner[:, axis, None] * (size - side + 1))  # (B, 1)
            place = torch.arange(size, device=x.device)
            inside.append((place >= first) & (place < first + side))  # (B, size)
        return (inside[0][:, :, None] & inside[1][:, None, :]).unsqueeze(1)

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        return self.compare(x, self.draw_code(x, y), y)

    def weights(self) -> dict[str, Tensor | float]:
        return {"recon": 1.0}
