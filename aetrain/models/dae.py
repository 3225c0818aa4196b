"""Denoising autoencoder (Vincent et al. 2008)."""

from __future__ import annotations

from torch import Tensor

from aetrain.corruption import corrupted
from aetrain.models.autoencoder import Autoencoder


class DAE(Autoencoder):
    """L(x) = recon(x, decode(encode(x̃))) with x̃ ~ M(x̃ | x): a corrupted image is encoded, the clean one is the
    target. In evaluation the corruption of an image is always the same, so that the validation curve does not jitter.
    What the corruptions are: aetrain/corruption.py."""

    def corrupt(self, x: Tensor) -> Tensor:
        return corrupted(x, self.config.corruption, self.corruption_level, self.noise)

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        return self.compare(x, self.draw_code(x, y), y)

    def weights(self) -> dict[str, Tensor | float]:
        return {"recon": 1.0}
