"""A density of codes fitted after training, from which models without a prior are sampled (ex-post density estimation,
Ghosh et al. 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

COMPONENTS = 10  # of the mixture, as in Ghosh et al. 2020
RIDGE = 1e-6  # added to the variances, as a share of their mean: units that are dead, or copies, have none


@dataclass(frozen=True)
class Mixture:
    """Σ_k weight_k N(mean_k, factor_k factor_kᵀ). weights: (K,), means: (K, D), factors: (K, D, D) lower triangular;
    float64."""

    weights: Tensor
    means: Tensor
    factors: Tensor

    def sample(self, n: int, seed: int) -> Tensor:
        """n draws: (n, D)."""
        generator = torch.Generator().manual_seed(seed)  # on the CPU: the same draws on every device
        component = torch.multinomial(self.weights.cpu(), n, replacement=True, generator=generator)
        epsilon = torch.randn(n, self.means.shape[1], generator=generator, dtype=self.means.dtype)
        component, epsilon = component.to(self.means.device), epsilon.to(self.means.device)
        drawn = torch.empty_like(epsilon)
        for k in component.unique().tolist():
            chosen = component == k
            drawn[chosen] = self.means[k] + epsilon[chosen] @ self.factors[k].T
        return drawn

    def log_prob(self, z: Tensor) -> Tensor:
        """In nats. z: (N, D) -> (N,)."""
        parts = []
        for weight, mean, factor in zip(self.weights, self.means, self.factors, strict=True):
            standard = _whitened(z.to(mean), mean, factor)
            log_determinant = factor.diagonal().log().sum()
            parts.append(weight.log() - 0.5 * standard.square().sum(1) - log_determinant)
        return torch.stack(parts).logsumexp(0) - 0.5 * self.means.shape[1] * math.log(2 * math.pi)

    def distance(self, z: Tensor) -> Tensor:
        """Mahalanobis distance to the nearest component. z: (N, D) -> (N,)."""
        parts = [_whitened(z.to(m), m, f).norm(dim=1) for m, f in zip(self.means, self.factors, strict=True)]
        return torch.stack(parts).amin(0)


@dataclass(frozen=True)
class Positions:
    """Of codes that are a vector at each of P positions: at every position the one that a training image, drawn for
    this position alone, has there. How positions depend on each other is lost. codes: (N, D, P)."""

    codes: Tensor

    def sample(self, n: int, seed: int) -> Tensor:
        """n draws: (n, D · P)."""
        generator = torch.Generator().manual_seed(seed)  # on the CPU: the same draws on every device
        images, positions = len(self.codes), self.codes.shape[2]
        index = torch.randint(images, (n, positions), generator=generator).to(self.codes.device)
        return drawn_by_position(self.codes, index)


def drawn_by_position(codes: Tensor, index: Tensor) -> Tensor:
    """At each position the vector of the image that is named for it. codes: (N, D, P), index: (n, P) -> (n, D · P)."""
    vectors = codes[index, :, torch.arange(index.shape[1], device=index.device)]  # (n, P, D)
    return vectors.transpose(1, 2).flatten(1)


def _whitened(z: Tensor, mean: Tensor, factor: Tensor) -> Tensor:
    return torch.linalg.solve_triangular(factor, (z - mean).T, upper=False).T


def gaussian(codes: Tensor) -> Mixture:
    """The Gaussian with the mean and covariance of codes (N, D)."""
    z = codes.double()
    centred = z - z.mean(0)
    covariance = centred.T @ centred / len(z)
    covariance.diagonal().add_(_ridge(z))
    return Mixture(z.new_ones(1), z.mean(0, keepdim=True), torch.linalg.cholesky(covariance).unsqueeze(0))


def gaussian_mixture(codes: Tensor, seed: int, components: int = COMPONENTS) -> Mixture:
    """The mixture of Gaussians, each with a covariance of its own, that expectation maximisation finds for codes (N, D)
    from k-means (scikit-learn's). At most as many components as there are different codes."""
    from sklearn.mixture import GaussianMixture

    z = codes.double().cpu()
    components = min(components, len(z.unique(dim=0)))
    model = GaussianMixture(components, reg_covar=_ridge(z), random_state=seed % 2**32, max_iter=200, tol=1e-3)
    with threadpool_limits(1):
        model.fit(z.numpy())
    factors = torch.linalg.cholesky(torch.from_numpy(model.covariances_))
    parts = (torch.from_numpy(model.weights_), torch.from_numpy(model.means_), factors)
    return Mixture(*(part.to(codes.device) for part in parts))


def _ridge(z: Tensor) -> float:
    return RIDGE * float(z.var(0, correction=0).mean()) + torch.finfo(z.dtype).eps
