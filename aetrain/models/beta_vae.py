"""β-VAE (Higgins et al. 2017), and its objective of a capacity that is given (Burgess et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from aetrain.models.vae import VAE

MISS = 0.5  # nats between the mean KL and the capacity from which on a run says so at its end


class BetaVAE(VAE):
    """L(x) = recon_weight · recon + beta · kl. With 1 and 1 it is the VAE, to the bit; a larger beta trades
    reconstruction for a code closer to the prior, whose dimensions are more independent. beta = 0 is the reconstruction
    alone, recon_weight = 0 the KL alone.

    With a capacity C: L = recon + gamma · |mean kl − C|, the mean over the batch (over the whole split in
    evaluation), in nats; a schedule on `capacity` raises it during the run (Burgess et al. 2018, eq. 8).
    """

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        terms = super().terms(x, y)
        if self.config.capacity is None:
            return terms
        mean_kl = self.statistic("mean_kl", terms["kl"].mean())
        return {**terms, "capacity": (mean_kl - self.capacity).abs().expand(len(x))}

    def weights(self) -> dict[str, Tensor | float]:
        if self.config.capacity is None:
            return {"recon": self.recon_weight, "kl": self.beta}
        return {"recon": self.recon_weight, "capacity": self.gamma}

    def batch_statistics(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        statistics = super().batch_statistics(x, y)
        if self.config.capacity is None:
            return statistics
        mu, logvar = self.posterior(x, y)
        return {**statistics, "mean_kl": self.prior.kl(mu, logvar, self.draw(mu, logvar)).mean()}

    def after_collapse(self) -> str:
        if self.config.recon_weight == 0:
            return "with model.recon_weight=0 nothing asks the code to say anything of the image"
        if self.config.capacity is not None:
            return f"try a larger model.capacity than {self.config.capacity:g}"
        if self.config.beta > 1:
            return f"try a smaller model.beta than {self.config.beta:g}"
        return "warm the KL up, as in model.schedule.beta.kind=linear"

    def findings(self, terms: Mapping[str, float], diagnostics: Mapping[str, Tensor]) -> list[str]:
        found = super().findings(terms, diagnostics)
        if self.config.capacity is None:
            return found
        kl, goal = terms["kl"], float(self.capacity)
        if abs(kl - goal) > MISS:
            found.append(
                f"the mean KL ended at {kl:.2f} nats with a capacity of {goal:g}: about the kink of its objective it "
                "swings as far as the learning rate lets it; try optimizer.schedule.kind=cosine"
            )
        return found
