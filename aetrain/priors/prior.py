"""The contract that every prior keeps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from aetrain.aggregate import PAIRS_AT_ONCE, log_normal
from aetrain.noise import Noise

Posterior = Callable[[Tensor, Tensor | None], tuple[Tensor, Tensor]]  # images, labels -> mu and logvar of q(z | x)

NODES = 8  # of a dimension's quadrature
POINTS = 1000  # of a dimension, at which the density of its marginal is computed


class Prior(nn.Module):
    """p(z). A module, because priors that are learned have parameters.

    is_closed: whether `kl` is in closed form, whatever z; else it is an estimate at z, a draw of the posterior.
    """

    is_closed: ClassVar[bool] = False

    def __init__(self, code_shape: tuple[int, ...], noise: Noise):
        super().__init__()
        self.code_shape, self.noise = code_shape, noise

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats: (B, *code_shape) -> (B,)."""
        raise NotImplementedError

    def sample(self, n: int, like: Tensor) -> Tensor:
        """n draws of the dtype and on the device of `like`: (n, *code_shape)."""
        raise NotImplementedError

    def kl(self, mu: Tensor, logvar: Tensor, z: Tensor) -> Tensor:
        """log q(z | x) − log p(z) in nats at a draw z of q = N(mu, diag(e^logvar)), whose expectation over draws is
        KL(q ‖ p); a single one may be negative. (B, D) each -> (B,)."""
        return log_normal(z, mu, logvar).sum(1) - self.log_prob(z)

    def kl_per_dimension(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """KL(N(mu_d, e^logvar_d) ‖ p(z_d)) in nats, from the prior's marginals: (B, D) each -> (B, D). They add up to
        the KL where the prior's dimensions are independent."""
        raise NotImplementedError

    def moments(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean, (D,), and covariance, (D, D), on the device of `like`, in float64."""
        raise NotImplementedError


class Components(NamedTuple):
    """Of a mixture of Gaussians with diagonal covariances. log_weights: (K,); mu, logvar: (K, D)."""

    log_weights: Tensor
    mu: Tensor
    logvar: Tensor


class MixturePrior(Prior):
    """p(z) = Σ_k w_k N(z; mu_k, diag(e^logvar_k)). A variant says what its components are."""

    def components(self) -> Components:
        raise NotImplementedError

    def log_prob(self, z: Tensor) -> Tensor:
        """In products of matrices, a tenth of the time that differences take pair by pair, and in float64, in which
        what they subtract leaves something, whatever the precision of the step."""
        weights, mu, logvar = (part.double() for part in self.components())
        precision = torch.exp(-logvar)
        constant = weights - 0.5 * (mu.square() * precision + logvar + math.log(2 * math.pi)).sum(1)
        found = []
        for part in z.double().split(max(1, PAIRS_AT_ONCE // len(mu))):
            by_component = constant + part @ (mu * precision).T - 0.5 * part.square() @ precision.T  # (rows, K)
            found.append(torch.logsumexp(by_component, dim=1))
        return torch.cat(found).to(z)

    def sample(self, n: int, like: Tensor) -> Tensor:
        weights, mu, logvar = self.components()
        epsilon = self.noise.randn_like(like.new_empty(n, *self.code_shape))
        place = self.noise.rand_like(like.new_empty(n))
        k = torch.searchsorted(weights.exp().cumsum(0), place.to(weights)).clamp(max=len(weights) - 1)
        return (mu[k] + torch.exp(0.5 * logvar[k]) * epsilon).to(like)

    def kl_per_dimension(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """E log q(z_d) in closed form, E log p(z_d) by Gauss-Hermite quadrature, log p(z_d) between the points of a
        grid that spans all that are asked about: with many images and components, thousands of times less work."""
        nodes, shares = (torch.as_tensor(part).to(mu) for part in np.polynomial.hermite_e.hermegauss(NODES))
        std = torch.exp(0.5 * logvar)
        z = (mu.unsqueeze(1) + std.unsqueeze(1) * nodes.unsqueeze(1)).flatten(0, 1)  # (B · nodes, D)
        low, high = z.amin(0), z.amax(0)
        step = ((high - low) / (POINTS - 1)).clamp(min=torch.finfo(z.dtype).tiny)
        table = self._log_marginals(low + step * torch.arange(POINTS, device=z.device).unsqueeze(1))
        place = ((z - low) / step).clamp(0, POINTS - 1)
        left = place.long().clamp(0, POINTS - 2)  # NaN, of weights that diverged, is no place
        log_p = torch.lerp(table.gather(0, left), table.gather(0, left + 1), place - left)
        cross = (shares.unsqueeze(1) * log_p.unflatten(0, (-1, NODES))).sum(1) / shares.sum()
        return -0.5 * (math.log(2 * math.pi) + 1 + logvar) - cross

    def _log_marginals(self, z: Tensor) -> Tensor:
        """log p(z_d): (N, D) -> (N, D)."""
        weights, mu, logvar = self.components()
        parts = z.split(max(1, PAIRS_AT_ONCE // mu.numel()))
        return torch.cat(
            [torch.logsumexp(log_normal(part.unsqueeze(1), mu, logvar) + weights[:, None], 1) for part in parts]
        )

    @torch.no_grad()
    def moments(self, like: Tensor) -> tuple[Tensor, Tensor]:
        weights, mu, logvar = (part.double() for part in self.components())
        w = weights.exp()
        mean = w @ mu
        return mean, (mu - mean).T @ (w.unsqueeze(1) * (mu - mean)) + torch.diag(w @ logvar.exp())
