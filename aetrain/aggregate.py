"""The aggregate posterior q(z), the mixture of the posteriors of all images, estimated from those of a batch."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

PAIRS_AT_ONCE = 2**24  # numbers of pairs of images and dimensions: bounds the memory
IN_CACHE = 2**20  # the same on a CPU: in portions of that size the pairs take less than half the time


class Decomposition(NamedTuple):
    """KL(q(z | x) ‖ p(z)) in three parts, in nats, each (B,): their sum is log q(z | x) − log p(z) of every image."""

    mutual_information: Tensor  # log q(z | x) − log q(z): what codes say of the image
    total_correlation: Tensor  # log q(z) − Σ_d log q(z_d): how far the dimensions are from independent
    dimension_kl: Tensor  # Σ_d log q(z_d) − log p(z_d): how far each alone is from the prior


def decompose(z: Tensor, mu: Tensor, logvar: Tensor, log_prior: Tensor, log_weights: Tensor) -> Decomposition:
    """Chen et al. 2018, eq. 2, at one draw of every image's posterior. z, mu, logvar: (B, D); log_prior: log p(z),
    (B,); where its dimensions depend on one another, dimension_kl has that in it; log_weights: (B, B), see below."""
    own = log_normal(z, mu, logvar).sum(1)
    log_q, log_product = _densities(z, mu, logvar, log_weights)
    return Decomposition(own - log_q, log_q - log_product, log_product - log_prior)


def total_correlation(z: Tensor, mu: Tensor, logvar: Tensor, log_weights: Tensor) -> Tensor:
    """`decompose`'s, for any prior: (B,)."""
    log_q, log_product = _densities(z, mu, logvar, log_weights)
    return log_q - log_product


def _densities(z: Tensor, mu: Tensor, logvar: Tensor, log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """log q(z) and Σ_d log q(z_d): (B,) each."""
    joint, marginal = [], []
    rows = rows_at_once(mu)
    for part, weights in zip(z.split(rows), log_weights.split(rows), strict=True):
        pairs = log_normal(part.unsqueeze(1), mu, logvar)  # (rows, B, D): log q(z_i | x_j), by dimension
        joint.append(torch.logsumexp(pairs.sum(2) + weights, dim=1))
        marginal.append(torch.logsumexp(pairs + weights.unsqueeze(2), dim=1).sum(1))
    return torch.cat(joint), torch.cat(marginal)


def rows_at_once(others: Tensor) -> int:
    """Images whose pairs with all of `others`, (B, D), are worked off together."""
    return max(1, (IN_CACHE if others.device.type == "cpu" else PAIRS_AT_ONCE) // others.numel())


def log_normal(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log N(z; mu, e^logvar), by dimension."""
    return -0.5 * (math.log(2 * math.pi) + logvar + (z - mu).square() * torch.exp(-logvar))


def weighted(batch: int, total: int, like: Tensor) -> Tensor:
    """Minibatch-weighted sampling (Chen et al. 2018, eq. S3): q(z_i) ≈ Σ_j q(z_i | x_j) / (N · M), for M images of N.
    The logs of the weights: (M, M). Right where no other posterior reaches z_i but for a factor of M, too low by a
    factor of N where all do; as much in each dimension, so that TC is too high."""
    return torch.full((batch, batch), -math.log(total * batch), dtype=like.dtype, device=like.device)


def stratified(batch: int, total: int, like: Tensor) -> Tensor:
    """Minibatch-stratified sampling (Chen et al. 2018, eq. S6): the image's own posterior counts 1/N, as in q(z), those
    of M others, M + 1 being the batch, together 1 − 1/N: M − 1 of them 1/M each and the next one the rest. q(z_i) is
    then right in expectation. The logs of the weights: (M + 1, M + 1)."""
    others = batch - 1
    if not others:
        return torch.zeros(1, 1, dtype=like.dtype, device=like.device)
    total = max(total, batch)  # a split may have more images than training had
    place = torch.arange(batch, device=like.device)
    ahead = (place - place.unsqueeze(1)) % batch  # (i, j): how far j is after i, 0 for i itself
    rest = (total - others) / (total * others)
    weights = torch.full((batch, batch), -math.log(others), dtype=like.dtype, device=like.device)
    weights = torch.where(ahead == 0, -math.log(total), weights)
    return torch.where(ahead == 1, math.log(rest), weights)


SAMPLING = {"weighted": weighted, "stratified": stratified}
