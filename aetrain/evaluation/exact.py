"""The posterior p(z | x) and the likelihood p(x) of models whose code has one or two dimensions, by sums on a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from aetrain.models import Autoencoder
from aetrain.models.vae import VAE

MOST_DIMENSIONS = 2
POINTS = {1: 1001, 2: 129}  # of an axis, by the code's dimensions; odd, so that every second one is a grid too
SEARCH = {1: 201, 2: 65}  # of an axis, of the grids that look for the posterior
NEAR = 25.0  # nats below the largest density, where what is left out adds up to nothing
ROUNDS = 30  # of closing in on the posterior, at most
DRAWS = {1: 121, 2: 49}  # points of an axis on which the mean over q is taken, from −6 to 6 of its stds


@dataclass(frozen=True)
class Exact:
    """Of one image, in nats and float64. axes: the grid's values of each dimension, (K,) each. density: p(z | x) there,
    (K,) or (K, K), the first dimension first. error: what log_likelihood changes by where every second point is left
    out; that of the sum itself is far smaller."""

    log_likelihood: float
    elbo: float
    axes: tuple[Tensor, ...]
    density: Tensor
    error: float

    @property
    def gap(self) -> float:
        """KL(q(z | x) ‖ p(z | x))."""
        return self.log_likelihood - self.elbo


def fits(model: Autoencoder) -> bool:
    """Whether a model is a VAE with a code of one or two numbers."""
    return isinstance(model, VAE) and len(model.code_shape) == 1 and model.code_shape[0] <= MOST_DIMENSIONS


@torch.no_grad()
def exact(model: Autoencoder, x: Tensor, y: Tensor | None, batch_size: int) -> Exact:
    """log p(x) = log ∫ p(x | z) p(z) dz as a sum over a grid that closes in on where the integrand is; for smooth
    integrands such sums converge faster than any power of the step. x: (1, C, H, W), y: (1,)."""
    mu, logvar = (part.squeeze(0).double() for part in model.posterior(x, y))
    std = torch.exp(0.5 * logvar)
    center, covariance = model.prior.moments(mu)
    around = 6 * covariance.diagonal().sqrt()
    low, high = torch.minimum(mu - 8 * std, center - around), torch.maximum(mu + 8 * std, center + around)
    for _ in range(ROUNDS):
        axes, values = _on_grid(model, x, y, low, high, SEARCH[len(mu)], batch_size)
        if not bool(values.max().isfinite()):
            break
        before, (low, high) = (low, high), _close(axes, values)
        inside = bool((low >= before[0]).all() and (high <= before[1]).all())
        if inside and bool((high - low > 0.6 * (before[1] - before[0])).all()):
            break
    axes, values = _on_grid(model, x, y, low, high, POINTS[len(mu)], batch_size)
    log_likelihood = _log_sum(axes, values)
    coarse = _log_sum([axis[::2] for axis in axes], values[(slice(None, None, 2),) * len(mu)])
    density = (values - log_likelihood).exp()
    elbo = _elbo(model, x, y, mu, std, batch_size)
    return Exact(log_likelihood, elbo, axes, density, abs(log_likelihood - coarse))


def _on_grid(model: Autoencoder, x: Tensor, y: Tensor | None, low: Tensor, high: Tensor, points: int,
             batch_size: int) -> tuple[tuple[Tensor, ...], Tensor]:  # fmt: skip
    """Axes from low to high, (D,) each, and log p(x, z) there: (K,) or (K, K)."""
    edges = zip(low.tolist(), high.tolist(), strict=True)
    axes = tuple(torch.linspace(a, b, points, dtype=low.dtype, device=low.device) for a, b in edges)
    return axes, log_joint(model, x, y, _points(axes), batch_size).view([points] * len(axes))


def log_joint(model: Autoencoder, x: Tensor, y: Tensor | None, z: Tensor, batch_size: int) -> Tensor:
    """log p(x | z) + log p(z) in nats of one image and many codes. x: (1, C, H, W), z: (N, D) -> (N,), float64."""
    parts = []
    for part in z.to(x.dtype).split(batch_size):
        labels = None if y is None else y.expand(len(part))
        likelihood = model.log_likelihood(x.expand(len(part), *x.shape[1:]), part, labels)
        parts.append(likelihood.double() + model.prior.log_prob(part).double())
    return torch.cat(parts)


def _elbo(model: Autoencoder, x: Tensor, y: Tensor | None, mu: Tensor, std: Tensor, batch_size: int) -> float:
    """E_q[log p(x, z) − log q(z | x)], on a grid of q's own: q may be far narrower or wider than the posterior."""
    axis = torch.linspace(-6, 6, DRAWS[len(mu)], dtype=torch.float64, device=mu.device)
    epsilon = _points((axis,) * len(mu))
    log_normal = -0.5 * (epsilon.square() + math.log(2 * math.pi)).sum(1)
    weights = torch.softmax(log_normal, 0)
    joint = log_joint(model, x, y, mu + std * epsilon, batch_size)
    return float((weights * (joint - log_normal)).sum() + std.log().sum())


def _points(axes: tuple[Tensor, ...]) -> Tensor:
    """All places of a grid: (N, D)."""
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2)


def _log_sum(axes, values: Tensor) -> float:
    """log of the integral of e^values."""
    return float(values.flatten().logsumexp(0)) + sum(math.log(float(axis[1] - axis[0])) for axis in axes)


def _close(axes: tuple[Tensor, ...], values: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest and highest place of each dimension at which the integrand matters, and two steps more; beyond the grid by
    a quarter of it where it matters at the very edge. (D,) each."""
    near = values >= values.max() - NEAR
    low, high = [], []
    for d, axis in enumerate(axes):
        others = [e for e in range(len(axes)) if e != d]
        along = (near.any(others[0]) if others else near).nonzero().flatten()
        first, last = int(along[0]), int(along[-1])
        step, width = axis[1] - axis[0], axis[-1] - axis[0]
        low.append(axis[first] - (2 * step if first else width / 4))
        high.append(axis[last] + (2 * step if last < len(axis) - 1 else width / 4))
    return torch.stack(low), torch.stack(high)
