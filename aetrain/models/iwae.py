"""Importance-weighted autoencoder (Burda, Grosse & Salakhutdinov 2016)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aetrain.models.vae import VAE


class IWAE(VAE):
    """L(x) = iwae = −log 1/k Σ_i w_i, w_i = p(x, z_i) / q(z_i | x), z_i ~ q(z | x), in nats: a bound on −log p(x) that
    tightens with k (Burda et al. 2015, eq. 8). k = 1 is the negative ELBO with the KL sampled instead of in closed
    form. recon, the mean over samples, kl and nelbo are logged, not optimised."""

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        mu, logvar = self.posterior(x, y)
        epsilon = self.noise.randn_like(mu.unsqueeze(1).expand(-1, self.config.k, -1))  # (B, k, D)
        log_likelihood, log_ratio = self.log_weights(x, mu, logvar, epsilon, y)
        iwae = math.log(self.config.k) - torch.logsumexp(log_likelihood + log_ratio, dim=1)
        recon = -log_likelihood.mean(1)
        kl = self.prior.kl(mu, logvar, mu) if self.prior.is_closed else -log_ratio.mean(1)
        return {"iwae": iwae, "recon": recon, "kl": kl, "nelbo": recon + kl, **self.bits_per_dim(iwae)}

    def weights(self) -> dict[str, Tensor | float]:
        return {"iwae": 1.0}
