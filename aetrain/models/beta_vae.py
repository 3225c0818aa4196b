"""β-VAE (Higgins et al. 2017)."""

from __future__ import annotations

from torch import Tensor

from aetrain.models.vae import VAE


class BetaVAE(VAE):
    """L(x) = recon + beta · kl. beta = 1 is the VAE, to the bit; larger values trade reconstruction for a code closer
    to the prior, whose dimensions are more independent."""

    def weights(self) -> dict[str, Tensor | float]:
        return {"recon": 1.0, "kl": self.beta}
