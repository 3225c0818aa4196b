"""−log p(x) by importance sampling (Burda, Grosse & Salakhutdinov 2016)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aetrain.data.split import Split
from aetrain.evaluation.terms import evaluating, split_statistics
from aetrain.models import Autoencoder
from aetrain.noise import BLOCK

SAMPLES_AT_ONCE = 64  # importance samples per image and pass


@torch.no_grad()
def importance_nll(model: Autoencoder, split: Split, samples: int, seed: int, most: int | None = None) -> float:
    """−log p(x) in nats, mean over all images or the first `most`, from importance samples of the posterior:
    −log 1/K Σ_k p(x, z_k) / q(z_k | x) (Burda et al. 2015): an upper bound in expectation, tight for large K. For
    models with log_weights.

    Always in at least float32. The samples come SAMPLES_AT_ONCE at a time, so that memory does not depend on their
    number.
    """
    with evaluating(model), model.split_statistics(split_statistics(model, split, BLOCK, seed, most)):
        total = torch.zeros((), dtype=torch.float64, device=split.device)
        images = 0
        for x, y in split.chunks(BLOCK, most):
            with model.noise.fixed(seed, images):
                total -= log_importance_mean(model, x, y, samples).sum()
            images += len(x)
        return float(total) / images


def log_importance_mean(model: Autoencoder, x: Tensor, y: Tensor | None, samples: int) -> Tensor:
    """log 1/K Σ_k p(x, z_k) / q(z_k | x) of each image: (B, C, H, W) -> (B,), float64."""
    mu, logvar = model.posterior(x, y)
    log_sum = torch.full((len(x),), -torch.inf, dtype=torch.float64, device=x.device)
    for done in range(0, samples, SAMPLES_AT_ONCE):
        k = min(SAMPLES_AT_ONCE, samples - done)
        epsilon = model.noise.randn_like(mu.unsqueeze(1).expand(-1, k, -1))
        log_likelihood, log_ratio = model.log_weights(x, mu, logvar, epsilon, y)
        weights = log_likelihood.double() + log_ratio.double()
        log_sum = torch.logaddexp(log_sum, torch.logsumexp(weights, dim=1))
    return log_sum - math.log(samples)
