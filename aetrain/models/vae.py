"""Variational autoencoder (Kingma & Welling 2014; Rezende, Mohamed & Wierstra 2014)."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain import losses
from aetrain.models.autoencoder import Autoencoder

ACTIVE_VARIANCE = 0.01  # variance of the posterior mean above which a unit counts as active (Burda et al. 2015)


class VAE(Autoencoder):
    """L(x) = recon + kl, the negative ELBO with one sample per image: recon = −log p(x | z), z ~ q(z | x), and
    kl = KL(q(z | x) ‖ N(0, I)) in closed form, both in nats.

    q(z | x) = N(mu, diag(e^logvar)); z = mu + e^(logvar / 2) · ε (the reparameterization trick). p(x | z) is Bernoulli
    or Gaussian with fixed sigma.
    """

    has_prior = True
    outputs_per_latent = 2

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        mu, logvar = self.posterior(x)
        z = mu + torch.exp(0.5 * logvar) * self.noise.randn_like(mu)
        recon, kl = self.reconstruction(x, z), losses.gaussian_kl(mu, logvar).sum(1)
        return {"recon": recon, "kl": kl, "nelbo": recon + kl}

    def weights(self) -> dict[str, Tensor | float]:
        return {"recon": 1.0, "kl": 1.0}

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu and logvar of q(z | x). x: (B, C, H, W) -> two of (B, D)."""
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        return mu, logvar

    def encode(self, x: Tensor) -> Tensor:
        return self.posterior(x)[0]

    def sample(self, n: int) -> Tensor:
        """Mean images of n draws from the prior: (n, C, H, W)."""
        like = next(self.parameters()).new_empty(n, self.config.latent_dim)
        return self.decode(self.noise.randn_like(like))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x | z) in nats. x: (B, C, H, W), z: (B, D) -> (B,)."""
        return -self.reconstruction(x, z)

    def latents(self, x: Tensor) -> dict[str, Tensor]:
        mu, logvar = self.posterior(x)
        return {"mu": mu, "logvar": logvar}

    def diagnostics(self, latents: dict[str, Tensor]) -> dict[str, Tensor]:
        mu, logvar = latents["mu"], latents["logvar"]  # each (N, D)
        return {
            "active_units": (mu.var(0, correction=0) > ACTIVE_VARIANCE).sum(),
            "kl_per_dimension": losses.gaussian_kl(mu, logvar).mean(0),
            "mu": mu.flatten(),
            "std": torch.exp(0.5 * logvar).flatten(),
        }
