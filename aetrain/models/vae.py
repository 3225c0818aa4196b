"""Variational autoencoder (Kingma & Welling 2014; Rezende, Mohamed & Wierstra 2014)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from aetrain import losses
from aetrain.models.autoencoder import Autoencoder
from aetrain.priors.prior import Prior

ACTIVE_VARIANCE = 0.01  # variance of the posterior mean above which a unit counts as active (Burda et al. 2015)


class VAE(Autoencoder):
    """L(x) = recon + kl, the negative ELBO with one sample per image: recon = −log p(x | z), z ~ q(z | x), and
    kl = KL(q(z | x) ‖ p(z)), both in nats; of a prior for which that has no closed form, log q(z | x) − log p(z).

    q(z | x) = N(mu, diag(e^logvar)); z = mu + e^(logvar / 2) · ε (the reparameterization trick). bits_per_dim is nelbo
    in bits per pixel and channel, where it is a code length: a Bernoulli likelihood of binary pixels, a discretized
    logistic one of levels.
    """

    outputs_per_latent = 2

    prior: Prior

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        mu, logvar = self.posterior(x, y)
        z = self.draw(mu, logvar)
        terms, kl = self.compare(x, z, y), self.prior.kl(mu, logvar, z)
        nelbo = terms["recon"] + kl
        return {**terms, "kl": kl, "nelbo": nelbo, **self.bits_per_dim(nelbo)}

    def weights(self) -> dict[str, Tensor | float]:
        return {"recon": 1.0, "kl": 1.0}

    def draw(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """z of q(z | x), or mu in evaluation with z_in_evaluation=mean. (B, D) each -> (B, D)."""
        if not self.training and self.config.z_in_evaluation == "mean":
            return mu
        return mu + torch.exp(0.5 * logvar) * self.noise.randn_like(mu)

    def draw_code(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.draw(*self.posterior(x, y))

    def bits_per_dim(self, nats: Tensor) -> dict[str, Tensor]:
        """{"bits_per_dim": (B,)} of a bound on −log p(x), where that is a code length; else nothing."""
        likelihood = self.config.likelihood
        discrete = likelihood == "discretized_logistic" or (self.facts.binary and likelihood == "bernoulli")
        return {"bits_per_dim": nats / (math.prod(self.facts.image_shape) * math.log(2))} if discrete else {}

    def log_weights(self, x: Tensor, mu: Tensor, logvar: Tensor, epsilon: Tensor,
                    y: Tensor | None = None) -> tuple[Tensor, Tensor]:  # fmt: skip
        """log p(x | z) and log p(z) / q(z | x) at z = mu + e^(logvar / 2) · epsilon, in nats: their sum is the log of
        an importance weight (Burda et al. 2015, eq. 8). x: (B, C, H, W), mu and logvar: (B, D), epsilon: (B, k, D)
        standard normal -> two of (B, k)."""
        k = epsilon.shape[1]
        z = (mu.unsqueeze(1) + torch.exp(0.5 * logvar).unsqueeze(1) * epsilon).flatten(0, 1)  # (B · k, D)
        labels = None if y is None else y.repeat_interleave(k, dim=0)
        log_likelihood = self.log_likelihood(x.repeat_interleave(k, dim=0), z, labels).unflatten(0, (-1, k))
        log_q = -0.5 * (epsilon.square() + logvar.unsqueeze(1) + math.log(2 * math.pi)).sum(2)
        return log_likelihood, self.prior.log_prob(z).unflatten(0, (-1, k)) - log_q

    @property
    def has_posterior(self) -> bool:
        return True

    def posterior(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mu, logvar = self.encoder_output(x, y).chunk(2, dim=1)
        return mu, logvar

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.posterior(x, y)[0]

    def latents(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        mu, logvar = self.posterior(x, y)
        return {"mu": mu, "logvar": logvar}

    def diagnostics(self, latents: dict[str, Tensor]) -> dict[str, Tensor]:
        mu, logvar = latents["mu"], latents["logvar"]  # each (N, D)
        variance = mu.var(0, correction=0)
        return {
            "active_units": (variance > ACTIVE_VARIANCE).sum(),
            "aggregate_kl": losses.aggregate_kl(mu, logvar, *self.prior.moments(mu)),
            "kl_per_dimension": self.prior.kl_per_dimension(mu, logvar).mean(0),
            "correlation": correlation(mu),
            "aggregate_mean": mu.mean(0),
            "aggregate_std": (variance + logvar.exp().mean(0)).sqrt(),
            "mu": mu.flatten(),
            "std": torch.exp(0.5 * logvar).flatten(),
        }

    def findings(self, terms: Mapping[str, float], diagnostics: Mapping[str, Tensor]) -> list[str]:
        active, dimensions, kl = int(diagnostics["active_units"]), self.code_shape[0], terms["kl"]
        if active == 0:
            return [
                f"posterior collapse: none of the {dimensions} latent dimensions is active (KL {kl:.3g} nats), the "
                f"decoder ignores z; {self.after_collapse()}"
            ]
        if active < dimensions:
            return [
                f"{dimensions - active} of {dimensions} latent dimensions have collapsed to the prior: their mean "
                f"varies by less than {ACTIVE_VARIANCE} over images; {active} are active"
            ]
        return []

    def after_collapse(self) -> str:
        return "warm the KL up, as in model=beta_vae model.beta=1 model.schedule.beta.kind=linear"


def correlation(mu: Tensor) -> Tensor:
    """Of the posterior means over images: (N, D) -> (D, D), 0 for a dimension that does not vary."""
    centred = mu.double() - mu.double().mean(0)
    scale = centred.square().mean(0).sqrt()
    unit = torch.where(scale > 1e-6, centred / scale.clamp(min=1e-6), 0.0)
    return unit.T @ unit / len(mu)
