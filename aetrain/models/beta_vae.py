"""β-VAE (Higgins et al. 2017), and its objective of a capacity that is given (Burgess et al. 2018)."""

from __future__ import annotations

from torch import Tensor

from aetrain.models.vae import VAE

MISS = 0.5  # nats between the mean KL and the capacity from which on a run says so at its end


class BetaVAE(VAE):
    """L(x) = recon + beta · kl. beta = 1 is the VAE, to the bit; larger values trade reconstruction for a code closer
    to the prior, whose dimensions are more independent.

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
            return {"recon": 1.0, "kl": self.beta}
        return {"recon": 1.0, "capacity": self.gamma}

    def batch_statistics(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        statistics = super().batch_statistics(x, y)
        if self.config.capacity is None:
            return statistics
        mu, logvar = self.posterior(x, y)
        return {**statistics, "mean_kl": self.prior.kl(mu, logvar, mu).mean()}

    def findings(self, diagnostics: dict[str, Tensor]) -> list[str]:
        found = super().findings(diagnostics)
        if self.config.capacity is None:
            return found
        kl, goal = float(diagnostics["kl_per_dimension"].sum()), float(self.capacity)
        if abs(kl - goal) > MISS:
            found.append(
                f"the mean KL ended at {kl:.2f} nats with a capacity of {goal:g}: about the kink of its objective it "
                "swings as far as the learning rate lets it; try optimizer.schedule.kind=cosine"
            )
        return found
