"""prior=normal: N(0, I)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aetrain import losses
from aetrain.priors.prior import Prior


class Normal(Prior):
    """The standard normal distribution."""

    is_closed = True

    def log_prob(self, z: Tensor) -> Tensor:
        return -0.5 * (z.square() + math.log(2 * math.pi)).flatten(1).sum(1)

    def sample(self, n: int, like: Tensor) -> Tensor:
        return self.noise.randn_like(like.new_empty(n, *self.code_shape))

    def kl(self, mu: Tensor, logvar: Tensor, z: Tensor) -> Tensor:
        """In closed form."""
        return self.kl_per_dimension(mu, logvar).sum(1)

    def kl_per_dimension(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """The KL's summands."""
        return losses.gaussian_kl(mu, logvar)

    def moments(self, like: Tensor) -> tuple[Tensor, Tensor]:
        (d,) = self.code_shape
        of = {"dtype": torch.float64, "device": like.device}
        return torch.zeros(d, **of), torch.eye(d, **of)


def prior(config, code_shape, facts, noise, posterior) -> Normal:
    return Normal(code_shape, noise)
