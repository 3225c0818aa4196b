"""A model's numbers on a whole split."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from aetrain.data.split import to_unit
from aetrain.device import Precision
from aetrain.models import Autoencoder
from aetrain.noise import BLOCK

SAMPLES_AT_ONCE = 64  # importance samples per image and pass


@dataclass(frozen=True)
class Evaluation:
    """terms: mean over the split of the loss and of every term. diagnostics: see Autoencoder.diagnostics."""

    terms: dict[str, float]
    diagnostics: dict[str, Tensor]


@torch.no_grad()
def evaluate(model: Autoencoder, images: Tensor, batch_size: int, seed: int, precision: Precision) -> Evaluation:
    """Means over all images, summed in float64; the noise of an image depends on `seed` and its position, so that the
    result does not depend on batch_size. images: uint8 (N, C, H, W)."""
    was_training = model.training
    model.eval()
    try:
        with precision.autocast(), model.split_statistics(_split_statistics(model, images, batch_size, seed)):
            sums: dict[str, Tensor] = {}
            latents: dict[str, list[Tensor]] = {}
            for start in range(0, len(images), batch_size):
                x = to_unit(images[start : start + batch_size])
                with model.noise.fixed(seed, start), _encoding_once(model):
                    for name, term in model(x).items():
                        sums[name] = sums.get(name, 0) + term.sum(dtype=torch.float64)
                    for name, value in model.latents(x).items():
                        latents.setdefault(name, []).append(value)
            totals = torch.stack(list(sums.values())).tolist()  # the one copy to the host
            terms = {name: total / len(images) for name, total in zip(sums, totals, strict=True)}
            return Evaluation(terms, model.diagnostics({name: torch.cat(parts) for name, parts in latents.items()}))
    finally:
        model.train(was_training)


@torch.no_grad()
def importance_nll(model: Autoencoder, images: Tensor, samples: int, seed: int) -> float:
    """−log p(x) in nats, mean over all images, from importance samples of the posterior: −log 1/K Σ_k p(x, z_k) /
    q(z_k | x) (Burda et al. 2015): an upper bound in expectation, tight for large K. For models with log_weights.

    Always in at least float32. The samples come SAMPLES_AT_ONCE at a time, so that memory does not depend on their
    number. images: uint8 (N, C, H, W).
    """
    was_training = model.training
    model.eval()
    try:
        total = torch.zeros((), dtype=torch.float64, device=images.device)
        with model.split_statistics(_split_statistics(model, images, BLOCK, seed)):
            for start in range(0, len(images), BLOCK):
                x = to_unit(images[start : start + BLOCK])
                mu, logvar = model.posterior(x)
                log_sum = torch.full((len(x),), -torch.inf, dtype=torch.float64, device=x.device)
                with model.noise.fixed(seed, start):
                    for done in range(0, samples, SAMPLES_AT_ONCE):
                        k = min(SAMPLES_AT_ONCE, samples - done)
                        epsilon = model.noise.randn_like(mu.unsqueeze(1).expand(-1, k, -1))
                        log_likelihood, log_ratio = model.log_weights(x, mu, logvar, epsilon)
                        weights = log_likelihood.double() + log_ratio.double()
                        log_sum = torch.logaddexp(log_sum, torch.logsumexp(weights, dim=1))
                total += (math.log(samples) - log_sum).sum()
        return float(total) / len(images)
    finally:
        model.train(was_training)


def _split_statistics(model: Autoencoder, images: Tensor, batch_size: int, seed: int) -> dict[str, Tensor]:
    """The model's batch statistics over the whole split: a first pass, for models that have any, with the noise that
    the second will draw."""
    sums: dict[str, Tensor] = {}
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        with model.noise.fixed(seed, start):
            means = model.batch_statistics(to_unit(batch))
        if not means:
            return {}
        for name, value in means.items():
            sums[name] = sums.get(name, 0) + value.double() * len(batch)
    return {name: (total / len(images)).to(torch.get_default_dtype()) for name, total in sums.items()}


@contextmanager
def _encoding_once(model: Autoencoder) -> Iterator[None]:
    """Within: the encoder remembers its answer to the tensor that it was last given. A model's terms and its latents
    ask about the same batch, and encoding is half of an evaluation."""
    compute, asked, answer = model.encoder.forward, None, None

    def remember(x: Tensor) -> Tensor:
        nonlocal asked, answer
        if asked is not x:
            asked, answer = x, compute(x)
        return answer

    model.encoder.forward = remember  # on the instance, before the class's own
    try:
        yield
    finally:
        del model.encoder.forward
