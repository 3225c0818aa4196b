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
    """statistics: the model's batch statistics over the training's validation images. density: of training codes.
    finds_classes: whether a model that is given classes is given for each image the one with the lowest −ELBO, and not
    the image's own."""

    model: Autoencoder
    statistics: Mapping[str, Tensor]
    density: Mixture
    nll_samples: int
    finds_classes: bool = False

    @torch.no_grad()
    def __call__(self, x: Tensor, y: Tensor | None, wanted: list[str]) -> dict[str, Tensor]:
        """Each (B,), in float64. x: (B, C, H, W). What is drawn comes from the model's noise."""
        model = self.model
        found: dict[str, Tensor] = {}
        with model.split_statistics(self.statistics):
            if self.finds_classes:
                y, found["elbo"] = likeliest_class(model, x, ELBO_SAMPLES)
            code = model.encode(x, y)
            if "recon" in wanted:
                found["recon"] = model.reconstruction(x, code, y)
            if "elbo" in wanted and "elbo" not in found:
                found["elbo"] = negative_elbo(model, x, y, ELBO_SAMPLES)
            if "nll" in wanted:
                found["nll"] = -log_importance_mean(model, x, y, self.nll_samples)
        if "latent" in wanted:
            found["latent"] = self.density.distance(code.flatten(1))
        return {name: found[name].double() for name in wanted}


def likeliest_class(model: VAE, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """Of a model that is given classes: the label with the lowest −ELBO, and that −ELBO: (B, C, H, W) -> two of (B,).

    With log K added, an upper bound of −log p(x), p(x) being the mean of p(x | y) over K classes."""
    labels = torch.arange(model.facts.n_classes, device=x.device)
    found = torch.stack([negative_elbo(model, x, label.expand(len(x)), samples) for label in labels])
    lowest, label = found.min(0)
    return label, lowest


def negative_elbo(model: VAE, x: Tensor, y: Tensor | None, samples: int) -> Tensor:
    """recon + kl, the expectation over z taken by so many draws: (B, C, H, W) -> (B,)."""
    mu, logvar = model.posterior(x, y)
    total = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    for _ in range(samples):
        z = mu + torch.exp(0.5 * logvar) * model.noise.randn_like(mu)
        total += model.reconstruction(x, z, y) + model.prior.kl(mu, logvar, z)
    return total / samples
