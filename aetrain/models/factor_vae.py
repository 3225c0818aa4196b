"""FactorVAE (Kim & Mnih 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from aetrain.models.vae import VAE

SLOPE = 0.2  # of the leaky ReLU, as in the paper


class FactorVAE(VAE):
    """L(x) = recon + kl + gamma · log_density_ratio (eq. 2), the last being log D(z) / (1 − D(z)): its mean is the
    total correlation of the code's dimensions, as far as the discriminator D tells draws of q(z) from draws of the
    product of its marginals (eq. 3). All three are in nats.

    D minimises `discriminator`, its cross-entropy in nats, log 2 where it tells nothing: the codes of the first half of
    the batch are of q(z); those of the second half, each dimension permuted on its own, of the product (algorithm 1).
    Both players step at once, on one backward pass: D's term sees codes without a gradient, the loss sees D's weights
    without one. (In algorithm 2 D steps second, with a second batch, on codes from before the model's step.)

    In evaluation `discriminator` is of the split's first images, as if these were one batch.
    """

    pair_terms = ("discriminator",)

    def __init__(self, config, net, facts):
        super().__init__(config, net, facts)
        self.discriminator = Discriminator(config.latent_dim, config.discriminator)

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        mu, logvar = self.posterior(x, y)
        z = self.draw(mu, logvar)
        terms, kl = self.compare(x, z, y), self.prior.kl(mu, logvar, z)
        nelbo = terms["recon"] + kl
        without_gradient = {name: p.detach() for name, p in self.discriminator.named_parameters()}
        log_density_ratio = functional_call(self.discriminator, without_gradient, (z,))
        played = self.of_pairs(self._drawn(z.detach()))
        return {**terms, "kl": kl, "log_density_ratio": log_density_ratio, "nelbo": nelbo, **played,
                **self.bits_per_dim(nelbo)}  # fmt: skip

    def weights(self) -> dict[str, Tensor | float]:
        return {"recon": 1.0, "kl": 1.0, "log_density_ratio": self.gamma}

    def adversary(self) -> tuple[str, ...]:
        return ("discriminator",)

    def groups(self) -> dict[str, dict[str, Any]]:
        return {"discriminator": {"lr": self.config.discriminator_lr, "betas": tuple(self.config.discriminator_betas)}}

    def paired(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        return self._drawn(self.draw(*self.posterior(x, y)))

    def _drawn(self, z: Tensor) -> dict[str, Tensor]:
        """order: numbers whose ranks permute."""
        return {"z": z, "order": self.noise.rand_like(z)}

    def pairwise(self, paired: dict[str, Tensor]) -> dict[str, Tensor]:
        z, order = paired["z"], paired["order"]
        half = (len(z) + 1) // 2
        permuted = z[half:].gather(0, order[half:].argsort(0))
        ratio = self.discriminator(torch.cat([z[:half], permuted]))
        # −log D of the first half, −log (1 − D) of the second, D being the sigmoid.
        return {"discriminator": torch.cat([F.softplus(-ratio[:half]), F.softplus(ratio[half:])])}

    def after_collapse(self) -> str:
        return f"try a smaller model.gamma than {self.config.gamma:g}"


class Discriminator(nn.Module):
    """log D(z) / (1 − D(z)), D(z) being the probability that z was drawn from q(z): (B, D) -> (B,)."""

    def __init__(self, inputs: int, hidden: Sequence[int]):
        super().__init__()
        sizes = [inputs, *hidden, 1]
        self.layers = nn.ModuleList(map(nn.Linear, sizes, sizes[1:]))

    def forward(self, z: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            z = F.leaky_relu(layer(z), SLOPE)
        out = self.layers[-1](z).squeeze(1)
        return out.to(torch.promote_types(out.dtype, torch.float32))
