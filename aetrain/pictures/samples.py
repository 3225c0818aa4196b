"""New images."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from aetrain.data.split import Batch
from aetrain.evaluation.density import drawn_by_position
from aetrain.models import Autoencoder

CODES = 10_000  # training codes to which a Gaussian is fitted


def samples(model: Autoencoder, labels: Tensor) -> Tensor:
    """From the prior. labels: (n,), for models that use them -> (n, C, H, W)."""
    return model.sample(len(labels), labels)


def samples_by_class(model: Autoencoder, classes: int, columns: int) -> Tensor:
    """A conditional model's, a row for each of the first classes and the same code down each column:
    (classes, columns, C, H, W)."""
    like = next(model.parameters())
    z = model.prior.sample(columns, like).repeat(classes, 1)
    labels = torch.arange(classes, device=like.device).repeat_interleave(columns)
    return model.decode(z, labels).unflatten(0, (classes, columns))


def samples_by_position(model: Autoencoder, train: Iterable[Batch], labels: Tensor) -> Tensor:
    """Of a discrete code: at every position the vector of a training image drawn at random, one for each position.
    labels: (n,) -> (n, C, H, W)."""
    codes = torch.cat([model.encode(x, y) for x, y in train]).unflatten(1, (model.config.latent_dim, -1))  # (N, D, P)
    chance = model.noise.rand_like(codes.new_empty(len(labels), codes.shape[2]))
    return model.decode(drawn_by_position(codes, (chance * len(codes)).long()), labels)


def samples_gaussian(model: Autoencoder, train: Iterable[Batch], labels: Tensor) -> Tensor:
    """For a model without a prior: decoded from a Gaussian fitted to the codes of training images (ex-post density
    estimation, Ghosh et al. 2020). labels: (n,) -> (n, C, H, W)."""
    codes = torch.cat([model.encode(x, y) for x, y in train])  # (N, D)
    # mean + Cᵀε/√N with standard normal ε: a draw with the codes' own covariance, without factorising it.
    centred = codes - codes.mean(0)
    epsilon = model.noise.randn_like(codes.new_empty(len(labels), len(codes)))
    return model.decode(codes.mean(0) + epsilon @ centred / len(codes) ** 0.5, labels)
