"""β-TCVAE (Chen, Li, Grosse & Duvenaud 2018)."""

from __future__ import annotations

from torch import Tensor

from aetrain.aggregate import SAMPLING, Decomposition, decompose
from aetrain.models.vae import VAE


class BetaTCVAE(VAE):
    """L(x) = recon + alpha · mutual_information + beta · total_correlation + gamma · dimension_kl, all in nats (eq. 4):
    the parts of the KL (see aetrain/aggregate.py), estimated from the other images of the batch. With 1, 1 and 1 their
    sum is log q(z | x) − log p(z), whose expectation is the VAE's kl, whatever the estimate.

    kl and nelbo, in closed form, are logged beside them. In evaluation the parts are means over the split's first
    images, as if these were one batch.
    """

    pair_terms = Decomposition._fields

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        mu, logvar = self.posterior(x, y)
        z = self.draw(mu, logvar)
        terms, kl = self.compare(x, z, y), self.prior.kl(mu, logvar, z)
        nelbo = terms["recon"] + kl
        parts = self.of_pairs({"z": z, "mu": mu, "logvar": logvar})
        return {**terms, **parts, "kl": kl, "nelbo": nelbo, **self.bits_per_dim(nelbo)}

    def weights(self) -> dict[str, Tensor | float]:
        return {
            "recon": 1.0,
            "mutual_information": self.alpha,
            "total_correlation": self.beta,
            "dimension_kl": self.gamma,
        }

    def paired(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        mu, logvar = self.posterior(x, y)
        return {"z": self.draw(mu, logvar), "mu": mu, "logvar": logvar}

    def pairwise(self, paired: dict[str, Tensor]) -> dict[str, Tensor]:
        z = paired["z"]
        log_weights = SAMPLING[self.config.sampling](len(z), self.facts.train_size, z)
        return decompose(**paired, log_prior=self.prior.log_prob(z), log_weights=log_weights)._asdict()

    def after_collapse(self) -> str:
        return f"try a smaller model.beta than {self.config.beta:g}"
