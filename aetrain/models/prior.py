"""What a code is like before the image is seen: the part of a VAE that its KL, its samples and its importance weights
share."""

from __future__ import annotations

import math

from torch import Tensor, nn

from aetrain import losses
from aetrain.noise import Noise


class StandardNormal(nn.Module):
    """p(z) = N(0, I). A module, because priors that are learned have parameters."""

    def __init__(self, code_shape: tuple[int, ...], noise: Noise):
        super().__init__()
        self.code_shape, self.noise = code_shape, noise

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats: (B, *code_shape) -> (B,)."""
        return -0.5 * (z.square() + math.log(2 * math.pi)).flatten(1).sum(1)

    def sample(self, n: int, like: Tensor) -> Tensor:
        """n draws of the dtype and on the device of `like`: (n, *code_shape)."""
        return self.noise.randn_like(like.new_empty(n, *self.code_shape))

    def kl(self, mu: Tensor, logvar: Tensor, z: Tensor) -> Tensor:
        """KL(N(mu, diag(e^logvar)) ‖ p) in nats, in closed form; where there is none, from z, a draw of that posterior.
        (B, D) each -> (B,)."""
        return self.kl_per_dimension(mu, logvar).sum(1)

    def kl_per_dimension(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """The KL's summands, for diagnostics: (B, D) each -> (B, D)."""
        return losses.gaussian_kl(mu, logvar)
