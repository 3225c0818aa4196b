"""How unlike the training images is an image? Scores of single images, the higher the less alike, which do not depend
on the images beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from aetrain.evaluation.density import Mixture
from aetrain.evaluation.nll import log_importance_mean
from aetrain.models import Autoencoder
from aetrain.models.vae import VAE

ELBO_SAMPLES = 16  # codes of which the ELBO's expectation is taken


def names(model: Autoencoder) -> list[str]:
    """What can be computed of a model: recon, −log p(x | z) or the squared error of the reconstruction from the code
    that `encode` gives; elbo and nll, negative, in nats, for a VAE; latent, the Mahalanobis distance of the code from
    those of training images."""
    return ["recon", *(["elbo", "nll"] if isinstance(model, VAE) else []), "latent"]


@dataclass(frozen=True)
class Scorer:
    """statistics: the model's batch statistics over the training's validation images. density: of training codes."""

    model: Autoencoder
    statistics: Mapping[str, Tensor]
    density: Mixture
    nll_samples: int

    @torch.no_grad()
    def __call__(self, x: Tensor, y: Tensor | None, wanted: list[str]) -> dict[str, Tensor]:
        """Each (B,), in float64. x: (B, C, H, W). What is drawn comes from the model's noise."""
        model = self.model
        code = model.encode(x, y)
        found: dict[str, Tensor] = {}
        with model.split_statistics(self.statistics):
            if "recon" in wanted:
                found["recon"] = model.reconstruction(x, code, y)
            if "elbo" in wanted:
                found["elbo"] = negative_elbo(model, x, y, ELBO_SAMPLES)
            if "nll" in wanted:
                found["nll"] = -log_importance_mean(model, x, y, self.nll_samples)
        if "latent" in wanted:
            found["latent"] = self.density.distance(code.flatten(1))
        return {name: value.double() for name, value in found.items()}


def negative_elbo(model: VAE, x: Tensor, y: Tensor | None, samples: int) -> Tensor:
    """recon + kl, the expectation over z taken by so many draws: (B, C, H, W) -> (B,)."""
    mu, logvar = model.posterior(x, y)
    total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for _ in range(samples):
        z = mu + torch.exp(0.5 * logvar) * model.noise.randn_like(mu)
        total += model.reconstruction(x, z, y) + model.prior.kl(mu, logvar, z)
    return total / samples
