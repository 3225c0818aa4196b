"""The formulas of the objectives: pure functions, one value per image (or per unit where said), in nats where the
quantity is a likelihood or a divergence. Sums over pixels and latents, never means: beta = 1 is then the ELBO."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 256  # of a pixel of 8 bits
SERIES_BELOW = 0.1  # |logit| under which the continuous Bernoulli is computed by its Taylor series


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """‖x − x_hat‖² per image, in squared pixel units. x, x_hat: (B, C, H, W) -> (B,)."""
    return (x_hat - x).square().flatten(1).sum(1)


def bernoulli_nll(x: Tensor, logits: Tensor) -> Tensor:
    """−Σ x log p + (1 − x) log(1 − p) with p = sigmoid(logits), in nats. For grey x it is the cross-entropy that the
    textbook VAE minimises, not a normalised likelihood. x in [0, 1], logits: (B, C, H, W) -> (B,)."""
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def continuous_bernoulli_log_normalizer(logits: Tensor) -> Tensor:
    """log C(p) per pixel, C(p) = 2 artanh(1 − 2p) / (1 − 2p) (Loaiza-Ganem & Cunningham 2019, eq. 3); with
    p = sigmoid(a) it is log(a / tanh(a / 2)), even in a. Around p = ½, where that is 0 / 0, its Taylor series."""
    near = logits.abs() < SERIES_BELOW
    a = torch.where(near, 1.0, logits.abs())  # 1 only so that the branch not taken has a finite gradient
    exact = a.log() - torch.log(-torch.expm1(-a)) + torch.log1p(torch.exp(-a))
    a2 = torch.where(near, logits, 0.0).square()
    series = math.log(2) + a2 * (1 / 12 - a2 * (7 / 1440 - a2 * (31 / 90720)))  # error under 3e-5 a⁸
    return torch.where(near, series, exact)


def continuous_bernoulli_nll(x: Tensor, logits: Tensor) -> Tensor:
    """−log of the density C(p) p^x (1 − p)^(1 − x) on [0, 1], p = sigmoid(logits), in nats: the likelihood that grey
    pixels have where the cross-entropy has none. x in [0, 1], logits: (B, C, H, W) -> (B,)."""
    return bernoulli_nll(x, logits) - continuous_bernoulli_log_normalizer(logits).flatten(1).sum(1)


def continuous_bernoulli_mean(logits: Tensor) -> Tensor:
    """E[x] = 1 / (1 − e^−a) − 1 / a, which is not p = sigmoid(a) (Loaiza-Ganem & Cunningham 2019, eq. 8)."""
    near = logits.abs() < SERIES_BELOW
    a = torch.where(near, 1.0, logits)
    small = torch.where(near, logits, 0.0)
    series = 0.5 + small * (1 / 12 - small.square() * (1 / 720 - small.square() * (1 / 30240)))
    return torch.where(near, series, -1 / torch.expm1(-a) - 1 / a)


def gaussian_nll(x: Tensor, mean: Tensor, sigma: Tensor | float) -> Tensor:
    """−log N(x; mean, sigma² I) in nats. x, mean: (B, C, H, W), sigma > 0: 0-D, or for each channel (C,) -> (B,)."""
    sigma = torch.as_tensor(sigma, dtype=x.dtype, device=x.device)
    pixels = x[0].numel()
    if sigma.ndim:
        whitened = (x - mean) / sigma[:, None, None]
        return 0.5 * whitened.square().flatten(1).sum(1) + pixels * (sigma.log().mean() + 0.5 * math.log(2 * math.pi))
    return 0.5 * squared_error(x, mean) / sigma.square() + pixels * (sigma.log() + 0.5 * math.log(2 * math.pi))


def discretized_logistic_nll(x: Tensor, location: Tensor, scale: Tensor) -> Tensor:
    """−log of the probability that a logistic distribution gives to a pixel's level, one of 256: of all that is nearer
    to it than to another, of the lowest and the highest also all beyond (Kingma et al. 2016, section 4.2; Salimans et
    al. 2017, eq. 2), in nats. x in [0, 1], location: (B, C, H, W), scale > 0: for each channel (C,) -> (B,).

    σ(a) − σ(b) = σ(a) · σ(−b) · (1 − e^(b − a)) with a and b at the level's ends: no difference of nearly equal
    numbers, nor the logarithm of one that has become 0."""
    half, scale = 0.5 / (LEVELS - 1), scale[:, None, None]
    lowest, highest = x < half, x > 1 - half
    above = F.logsigmoid((x + half - location) / scale)
    below = F.logsigmoid((location - x + half) / scale)
    width = torch.log(-torch.expm1(-2 * half / scale)).expand_as(x)
    log_p = above.masked_fill(highest, 0) + below.masked_fill(lowest, 0) + width.masked_fill(lowest | highest, 0)
    return -log_p.flatten(1).sum(1)


def gaussian_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, e^logvar) ‖ N(0, 1)) per image and dimension, in nats (Kingma & Welling 2014, appendix B).
    mu, logvar: (B, D) -> (B, D)."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def bernoulli_kl(rho: Tensor | float, rho_hat: Tensor) -> Tensor:
    """KL(rho ‖ rho_hat) of two Bernoulli distributions, in nats, per element of rho_hat. Finite at rho_hat 0 and 1,
    which a saturated sigmoid reaches in float32: there rho_hat counts as the nearest number inside (0, 1)."""
    rho = torch.as_tensor(rho, dtype=rho_hat.dtype, device=rho_hat.device)
    info = torch.finfo(rho_hat.dtype)
    rho_hat = rho_hat.clamp(info.tiny, 1 - info.eps)
    return torch.xlogy(rho, rho / rho_hat) + torch.xlogy(1 - rho, (1 - rho) / (1 - rho_hat))


def aggregate_kl(mu: Tensor, logvar: Tensor, prior_mean: Tensor, prior_covariance: Tensor) -> Tensor:
    """KL(N(m, S) ‖ N(m_p, S_p)) in nats, 0-D, with m and S the mean and covariance of the aggregate posterior, the
    mixture of all N(mu_i, diag(e^logvar_i)), m_p and S_p the prior's: how far, in its first two moments, the codes are
    from the prior that `sample` draws from (Hoffman & Johnson 2016 for the quantity). mu, logvar: (N, D);
    prior_mean: (D,), prior_covariance: (D, D), float64."""
    mu, variance = mu.double(), logvar.double().exp()
    mean = mu.mean(0)
    covariance = (mu - mean).T @ (mu - mean) / len(mu) + torch.diag(variance.mean(0))
    factor, _ = torch.linalg.cholesky_ex(prior_covariance)
    apart = torch.linalg.solve_triangular(factor, (mean - prior_mean).unsqueeze(1), upper=False)
    share = torch.cholesky_solve(covariance, factor)  # S_p⁻¹ S
    log_ratio = torch.logdet(covariance) - 2 * factor.diagonal().log().sum()
    return 0.5 * (share.trace() + apart.square().sum() - len(mean) - log_ratio)
