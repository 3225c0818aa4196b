"""A model's numbers on a whole split."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from aetrain.data import to_unit
from aetrain.device import Precision
from aetrain.models import Autoencoder


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
        with precision.autocast(), model.split_statistics(_split_statistics(model, images, batch_size)):
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


def _split_statistics(model: Autoencoder, images: Tensor, batch_size: int) -> dict[str, Tensor]:
    """The model's batch statistics over the whole split: a first pass, for models that have any."""
    sums: dict[str, Tensor] = {}
    for batch in images.split(batch_size):
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
