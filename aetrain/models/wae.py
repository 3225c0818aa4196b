"""Wasserstein autoencoder with a maximum mean discrepancy (Tolstikhin, Bousquet, Gelly & Schölkopf 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain.aggregate import rows_at_once
from aetrain.models.autoencoder import Autoencoder
from aetrain.models.vae import ACTIVE_VARIANCE, correlation
from aetrain.priors.normal import Normal

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # of the kernel, whose sum is taken: those of the authors' code


class WAE(Autoencoder):
    """L(x) = recon + mmd_weight · mmd (algorithm 2): the codes of all images together, not those of each, are drawn
    towards the prior, of which the model is sampled. mmd is the unbiased estimate of MMD²(q(z), p(z)) from the batch
    and as many draws of the prior; it has no unit, is at most 14, and is negative as often as not where q(z) is p(z).
    In evaluation it is of the split's first images, as if these were one batch.

    The code is a function of the image, or with encoder=gaussian a draw of N(mu, diag(e^logvar)).
    """

    pair_terms = ("mmd",)

    def __init__(self, config, net, facts):
        super().__init__(config, net, facts)
        self.prior = Normal(self.code_shape, self.noise)

    @property
    def has_posterior(self) -> bool:
        return self.config.encoder == "gaussian"

    @property
    def outputs_per_latent(self) -> int:
        return 2 if self.has_posterior else 1

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        z = self.draw_code(x, y)
        return {**self.compare(x, z, y), **self.of_pairs(self._beside_prior(z))}

    def weights(self) -> dict[str, Tensor | float]:
        return {"recon": 1.0, "mmd": self.mmd_weight}

    def paired(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        return self._beside_prior(self.draw_code(x, y))

    def _beside_prior(self, z: Tensor) -> dict[str, Tensor]:
        return {"z": z, "prior": self.prior.sample(len(z), z)}

    def pairwise(self, paired: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"mmd": mmd(paired["z"], paired["prior"])}

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.posterior(x, y)[0] if self.has_posterior else self.encoder_output(x, y)

    def draw_code(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        if not self.has_posterior:
            return self.encode(x, y)
        mu, logvar = self.posterior(x, y)
        return mu + torch.exp(0.5 * logvar) * self.noise.randn_like(mu)

    def posterior(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if not self.has_posterior:
            raise self._lacks("has no posterior with model.encoder=deterministic, take gaussian")
        mu, logvar = self.encoder_output(x, y).chunk(2, dim=1)
        return mu, logvar

    def latents(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        if not self.has_posterior:
            return {"mu": self.encode(x, y)}
        mu, logvar = self.posterior(x, y)
        return {"mu": mu, "logvar": logvar}

    def after_collapse(self) -> str:
        is_warmed_up = self.config.schedule.mmd_weight.kind == "linear"
        warm_up = "longer warm-up (model.schedule.mmd_weight.length)"
        if not is_warmed_up:
            warm_up = "warm-up (model.schedule.mmd_weight.kind=linear)"
        return f"try a smaller model.mmd_weight than {self.config.mmd_weight:g}, or a {warm_up}"

    def diagnostics(self, latents: dict[str, Tensor]) -> dict[str, Tensor]:
        mu = latents["mu"]  # (N, D)
        variance = mu.var(0, correction=0)
        spread = latents["logvar"].exp().mean(0) if "logvar" in latents else torch.zeros_like(variance)
        return {
            "active_units": (variance > ACTIVE_VARIANCE).sum(),
            "correlation": correlation(mu),
            "aggregate_mean": mu.mean(0),
            "aggregate_std": (variance + spread).sqrt(),
            "code": mu.flatten(),
        }


def mmd(z: Tensor, prior: Tensor) -> Tensor:
    """The summands of the unbiased estimate of MMD² (Tolstikhin et al. 2018, algorithm 2), whose mean it is: for each i

        mean_{j≠i} k(z_i, z_j) + mean_{j≠i} k(p_i, p_j) − 2 mean_j k(z_i, p_j).

    z: B codes, prior: B draws p of the prior, (B, D) each -> (B,)."""
    others = max(1, len(z) - 1)
    own = len(SCALES)  # k(z, z)
    return (_sums(z, z) - own + _sums(prior, prior) - own) / others - 2 * _sums(z, prior) / len(z)


def _sums(a: Tensor, b: Tensor) -> Tensor:
    """Σ_j k(a_i, b_j) with the inverse multiquadric kernel k(a, b) = Σ_s C_s / (C_s + ‖a − b‖²), C_s = 2 D s, which the
    paper recommends for a standard normal prior, at SCALES s. (B, D) each -> (B,)."""
    sums = []
    for part in a.split(rows_at_once(b)):
        distance = (part.unsqueeze(1) - b).square().sum(2)  # (rows, B)
        sums.append(sum((c / (c + distance)).sum(1) for c in (2 * a.shape[1] * scale for scale in SCALES)))
    return torch.cat(sums)
