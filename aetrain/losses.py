"""The formulas of the objectives: pure functions, one value per image (or per unit where said), in nats where the
quantity is a likelihood or a divergence. Sums over pixels and latents, never means: beta = 1 is then the ELBO."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def squared_error(x: Tensor, x_hat: Tensor) -> Tensor:
    """‖x − x_hat‖² per image, in squared pixel units. x, x_hat: (B, C, H, W) -> (B,)."""
    return (x_hat - x).square().flatten(1).sum(1)


def bernoulli_nll(x: Tensor, logits: Tensor) -> Tensor:
    """−Σ x log p + (1 − x) log(1 − p) with p = sigmoid(logits), in nats. For grey x it is the cross-entropy that the
    textbook VAE minimises, not a normalised likelihood. x in [0, 1], logits: (B, C, H, W) -> (B,)."""
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def gaussian_nll(x: Tensor, mean: Tensor, sigma: Tensor | float) -> Tensor:
    """−log N(x; mean, sigma² I) in nats. x, mean: (B, C, H, W), sigma: 0-D, > 0 -> (B,)."""
    sigma = torch.as_tensor(sigma, dtype=x.dtype, device=x.device)
    pixels = x[0].numel()
    return 0.5 * squared_error(x, mean) / sigma.square() + pixels * (sigma.log() + 0.5 * math.log(2 * math.pi))


def gaussian_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, e^logvar) ‖ N(0, 1)) per image and dimension, in nats (Kingma & Welling 2014, appendix B).
    mu, logvar: (B, D) -> (B, D)."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar)


def bernoulli_kl(rho: Tensor | float, rho_hat: Tensor) -> Tensor:
    """KL(rho ‖ rho_hat) of two Bernoulli distributions, in nats, per element of rho_hat. Finite at rho_hat 0 and 1,
    which a saturated sigmoid reaches in float32: there rho_hat counts as the nearest number inside (0, 1)."""
    rho = torch.as_tensor(rho, dtype=rho_hat.dtype, device=rho_hat.device)
    eps = torch.finfo(rho_hat.dtype).eps
    rho_hat = rho_hat.clamp(eps, 1 - eps)
    return torch.xlogy(rho, rho / rho_hat) + torch.xlogy(1 - rho, (1 - rho) / (1 - rho_hat))


def sigmoid_layer_contraction(code: Tensor, weight: Tensor) -> Tensor:
    """‖∂code/∂x‖²_F for code = sigmoid(W x + b) (Rifai et al. 2011): Σ_j (h_j (1 − h_j))² ‖W_j‖².
    code: (B, D), weight: (D, pixels) -> (B,)."""
    return (code * (1 - code)).square() @ weight.square().sum(1)
