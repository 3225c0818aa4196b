"""A model's terms and diagnostics on a whole split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from aetrain.data.split import Split
from aetrain.device import Precision
from aetrain.models import Autoencoder

Answers = tuple[dict[str, Tensor], dict[str, Tensor]]  # terms and latents

PAIRS = 2000  # images: all pairs of 10,000 take 23 s, of these 1 s


@dataclass(frozen=True)
class Evaluation:
    """terms: mean over the split of the loss and of every term. diagnostics: see Autoencoder.diagnostics."""

    terms: dict[str, float]
    diagnostics: dict[str, Tensor]


@torch.no_grad()
def evaluate(model: Autoencoder, split: Split, batch_size: int, seed: int, precision: Precision,
             most: int | None = None) -> Evaluation:  # fmt: skip
    """Means over all images, or over the first `most`, summed in float64; the noise of an image depends on `seed` and
    its position, so that the result does not depend on batch_size."""
    with evaluated(model, split, batch_size, seed, precision, most) as (terms, latents):
        totals = torch.stack(list(terms.values())).tolist()  # the one copy to the host
        return Evaluation(dict(zip(terms, totals, strict=True)), model.diagnostics(latents))


@contextmanager
def evaluated(model: Any, split: Split, batch_size: int, seed: int, precision: Precision, most: int | None = None,
              ask: Callable[[Any, Tensor, Tensor], Answers] | None = None) -> Iterator[Answers]:  # fmt: skip
    """The means of the terms over the split, in float64, and the latents of all images: () and (N, …), or of K models
    together (K,) and (N, K, …). Within, the model is as it was for these. ask: by default `measured`."""
    with (
        evaluating(model),
        precision.autocast(),
        model.split_statistics(split_statistics(model, split, batch_size, seed, most)),
    ):
        sums: dict[str, Tensor] = {}
        latents: dict[str, list[Tensor]] = {}
        images = 0
        for x, y in split.chunks(batch_size, most):
            with model.noise.fixed(seed, images):
                terms, codes = (ask or measured)(model, x, y)
            for name, term in terms.items():
                sums[name] = sums.get(name, 0) + term.sum(0, dtype=torch.float64)
            for name, value in codes.items():
                latents.setdefault(name, []).append(value)
            images += len(x)
        yield (
            {name: total / images for name, total in sums.items()},
            {name: torch.cat(parts) for name, parts in latents.items()},
        )


def measured(model: Autoencoder, x: Tensor, y: Tensor) -> Answers:
    """A batch's terms and latents. Both ask the encoder about the same images, and encoding is half of an evaluation:
    it answers once."""
    with _encoding_once(model, x):
        return model(x, y), model.latents(x, y)


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Within: the model is in evaluation mode."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def split_statistics(model: Autoencoder, split: Split, batch_size: int, seed: int,
                     most: int | None = None) -> dict[str, Tensor]:  # fmt: skip
    """The model's batch statistics over the whole split, and the means of its terms of pairs over the first PAIRS
    images: a first pass, for models that have any, with the noise that the second will draw."""
    found = _means(model, split, batch_size, seed, most)
    return found | (_of_pairs(model, split, batch_size, seed, most) if model.pair_terms else {})


def _of_pairs(model: Autoencoder, split: Split, batch_size: int, seed: int, most: int | None) -> dict[str, Tensor]:
    parts: dict[str, list[Tensor]] = {}
    images = 0
    for x, y in split.chunks(batch_size, min(PAIRS, most or PAIRS)):
        with model.noise.fixed(seed, images):
            for name, value in model.paired(x, y).items():
                parts.setdefault(name, []).append(value)
        images += len(x)
    terms = model.pairwise({name: torch.cat(values) for name, values in parts.items()})
    return {name: value.mean(0, dtype=torch.float64).to(torch.get_default_dtype()) for name, value in terms.items()}


def _means(model: Autoencoder, split: Split, batch_size: int, seed: int, most: int | None) -> dict[str, Tensor]:
    sums: dict[str, Tensor] = {}
    images = 0
    for x, y in split.chunks(batch_size, most):
        with model.noise.fixed(seed, images):
            means = model.batch_statistics(x, y)
        if not means:
            return {}
        for name, value in means.items():
            sums[name] = sums.get(name, 0) + value.double() * len(x)
        images += len(x)
    return {name: (total / images).to(torch.get_default_dtype()) for name, total in sums.items()}


@contextmanager
def _encoding_once(model: Autoencoder, images: Tensor) -> Iterator[None]:
    """Within: the encoder remembers its answer to these images."""
    compute, answer = model.encoder.forward, None

    def remember(x: Tensor) -> Tensor:
        nonlocal answer
        if x is not images:
            return compute(x)
        answer = compute(x) if answer is None else answer
        return answer

    model.encoder.forward = remember  # on the instance, before the class's own
    try:
        yield
    finally:
        del model.encoder.forward
