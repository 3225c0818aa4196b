"""DIP-VAE-II (Kumar, Sattigeri & Balakrishnan 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain.models.vae import VAE


class DIPVAE(VAE):
    """L(x) = recon + kl + lambda_od · off_diagonal + lambda_d · diagonal (eq. 7): the penalties are Σ_{i≠j} C_ij² and
    Σ_i (C_ii − 1)², with C the covariance of the aggregate posterior. Both are of the batch and without a unit; in
    evaluation they are of the split's first images, as if these were one batch."""

    pair_terms = ("off_diagonal", "diagonal")

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        mu, logvar = self.posterior(x, y)
        z = self.draw(mu, logvar)
        terms, kl = self.compare(x, z, y), self.prior.kl(mu, logvar, z)
        nelbo = terms["recon"] + kl
        penalties = self.of_pairs({"mu": mu, "logvar": logvar})
        return {**terms, "kl": kl, **penalties, "nelbo": nelbo, **self.bits_per_dim(nelbo)}

    def weights(self) -> dict[str, Tensor | float]:
        return {"recon": 1.0, "kl": 1.0, "off_diagonal": self.lambda_od, "diagonal": self.lambda_d}

    def paired(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        mu, logvar = self.posterior(x, y)
        return {"mu": mu, "logvar": logvar}

    def pairwise(self, paired: dict[str, Tensor]) -> dict[str, Tensor]:
        n = len(paired["mu"])
        covariance = aggregate_covariance(**paired)
        squares, variances = covariance.square(), covariance.diagonal()
        off_diagonal = squares.sum() - squares.diagonal().sum()
        return {"off_diagonal": off_diagonal.expand(n), "diagonal": (variances - 1).square().sum().expand(n)}

    def after_collapse(self) -> str:
        return f"try a smaller model.lambda_od than {self.config.lambda_od:g}"


def aggregate_covariance(mu: Tensor, logvar: Tensor) -> Tensor:
    """Of the mixture of all N(mu_i, diag(e^logvar_i)): the covariance of the means and the mean variance (Kumar et al.
    2018, eq. 5). mu, logvar: (B, D) -> (D, D)."""
    centred = mu - mu.mean(0)
    with torch.autocast(mu.device.type, enabled=False):  # products in bf16 would be a percent off
        return centred.T @ centred / len(mu) + torch.diag(logvar.exp().mean(0))
