"""Denoising autoencoder (Vincent et al. 2008)."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain.models.autoencoder import Autoencoder


class DAE(Autoencoder):
    """L(x) = recon(x, decode(encode(x̃))) with x̃ ~ M(x̃ | x): a corrupted image is encoded, the clean one is the
    target. In evaluation the corruption of an image is always the same, so that the validation curve does not jitter.

    masking: each pixel is set to 0 with probability `corruption_level`. salt_and_pepper: to 0 or 1, each with half
    of it. gaussian: x̃ = x + corruption_level · ε, not clipped.
    """

    def corrupt(self, x: Tensor) -> Tensor:
        level = self.corruption_level
        if self.config.corruption == "gaussian":
            return x + level * self.noise.randn_like(x)
        # Uniform noise compared with the level, not a Bernoulli draw with that level: the same numbers then serve
        # every level of a stacked sweep.
        u = self.noise.rand_like(x)
        if self.config.corruption == "masking":
            return torch.where(u < level, 0.0, x)
        return torch.where(u < 0.5 * level, 0.0, torch.where(u < level, 1.0, x))

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        return self.compare(x, self.draw_code(x, y), y)

    def weights(self) -> dict[str, Tensor | float]:
        return {"recon": 1.0}
