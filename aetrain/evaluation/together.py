"""The models of a stack, evaluated at once: on a GPU an evaluation costs launches, and these are made once for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_map

from aetrain.data.split import Split
from aetrain.device import Precision
from aetrain.evaluation.terms import Answers, Evaluation, evaluated, measured
from aetrain.models import Autoencoder


@torch.no_grad()
def evaluate_together(models: Sequence[Autoencoder], params: Mapping[str, Tensor], buffers: Mapping[str, Tensor],
                      split: Split, batch_size: int, seed: int, precision: Precision) -> list[Evaluation]:  # fmt: skip
    """What `evaluate` gives of each of the K models, up to rounding. params and buffers: theirs by name, (K, …)."""
    together = Together(models, params, buffers)
    with evaluated(together, split, batch_size, seed, precision, ask=Together.measured) as (terms, latents):
        rows = torch.stack(list(terms.values()), dim=1).tolist()  # K of T: the one copy to the host
        return [
            Evaluation(dict(zip(terms, row, strict=True)), model.diagnostics(_of(k, latents)))
            for k, (model, row) in enumerate(zip(models, rows, strict=True))
        ]


class Together(nn.Module):
    """K models of one structure, as `evaluated` asks about one: what these answer with (B, …) it does with (B, K, …),
    and their 0-D statistics are (K,). Noise is drawn once, for it depends on the seed and the image alone."""

    def __init__(self, models: Sequence[Autoencoder], params: Mapping[str, Tensor], buffers: Mapping[str, Tensor]):
        super().__init__()
        self.first, self._models = models[0], models
        self._rows = tuple({f"model.{name}": v for name, v in rows.items()} for rows in (params, buffers))
        self._statistics: Mapping[str, Tensor] = {}
        self._asking = _Asking(self.first)
        self.noise, self.pair_terms = self.first.noise, self.first.pair_terms

    def measured(self, x: Tensor, y: Tensor) -> Answers:
        return self._ask(measured, 1, x, y)

    def batch_statistics(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return self._ask(lambda model, x, y: model.batch_statistics(x, y), 0, x, y)

    def paired(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return self._ask(lambda model, x, y: model.paired(x, y), 1, x, y)

    def pairwise(self, paired: dict[str, Tensor]) -> dict[str, Tensor]:
        """Member by member: the pairs of all of them may be more than the memory holds."""
        found = [model.pairwise(_of(k, paired)) for k, model in enumerate(self._models)]
        return {name: torch.stack([one[name] for one in found], dim=1) for name in found[0]}

    @contextmanager
    def split_statistics(self, values: Mapping[str, Tensor]) -> Iterator[None]:
        """See Autoencoder. values: (K, …) each."""
        before, self._statistics = self._statistics, values
        try:
            yield
        finally:
            self._statistics = before

    def _ask(self, what: Callable[..., Any], dim: int, x: Tensor, y: Tensor) -> Any:
        """what(model, x, y) of every model; `dim` of its answers is the members'."""

        def alone(params: dict, buffers: dict, statistics: dict) -> Any:
            with self.first.split_statistics(statistics):
                return functional_call(self._asking, (params, buffers), (what, x, y))

        found = vmap(alone, randomness="same")(*self._rows, dict(self._statistics))
        return tree_map(lambda value: value.movedim(0, dim), found)


class _Asking(nn.Module):
    """functional_call exchanges a model's parameters within `forward` alone: here that is any function of it."""

    def __init__(self, model: Autoencoder):
        super().__init__()
        self.model = model

    def forward(self, what: Callable[..., Any], x: Tensor, y: Tensor) -> Any:
        return what(self.model, x, y)


def _of(k: int, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A member's share: (N, K, …) -> (N, …)."""
    return {name: value[:, k] for name, value in values.items()}
