"""Where a model's random numbers come from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

BLOCK = 128  # images whose evaluation noise comes from one generator


def mix(*parts: int | str) -> int:
    """A 63-bit seed from several parts: independent streams for (seed, purpose, epoch, …)."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class Noise:
    """In training, torch's global generator: a stack of models and a lone one then draw the same numbers. In
    evaluation (`fixed`), numbers that depend on the seed and the image's position alone: neither how often one
    evaluates nor in what portions changes a result, and the training's generator is not touched."""

    def __init__(self) -> None:
        self._fixed: tuple[int, int] | None = None
        self._draws = 0

    def rand_like(self, x: Tensor) -> Tensor:
        """Uniform in [0, 1), shaped like x: (B, …), at least float32 (a lower precision is too coarse for masks)."""
        return self._draw(torch.rand, x)

    def randn_like(self, x: Tensor) -> Tensor:
        """Standard normal, shaped like x: (B, …), at least float32."""
        return self._draw(torch.randn, x)

    def ranks_like(self, x: Tensor) -> Tensor:
        """For each image an order of its values, uniform over all orders, as ranks from 0. x: (B, …) -> int64, (B, …).

        Images of a batch, in evaluation of a block, share a permutation, which each shifts by a number of its own: to
        sort every image's values would take longer than the rest of a step."""
        n = x[0].numel()
        shift = (self.rand_like(x.flatten(1)[:, 0]) * n).long().unsqueeze(1)  # (B, 1)
        order = self._draw(_order, x.flatten(1), alike=True)  # (1, n) or (B, n)
        return ((order + shift) % n).view_as(x)

    @contextmanager
    def fixed(self, seed: int, first_image: int = 0) -> Iterator[None]:
        """Within: the noise of image i depends on (seed, i) only; a batch starts with image `first_image`."""
        before, self._fixed, self._draws = (self._fixed, self._draws), (seed, first_image), 0
        try:
            yield
        finally:
            self._fixed, self._draws = before

    def _draw(self, source: Callable[..., Tensor], x: Tensor, alike: bool = False) -> Tensor:
        """alike: the same for all images of a batch, (1, …), in evaluation of a block, (B, …)."""
        dtype = torch.promote_types(x.dtype, torch.float32)
        if self._fixed is None:
            return source((1 if alike else len(x), *x.shape[1:]), dtype=dtype, device=x.device)
        seed, start = self._fixed
        stop = start + x.shape[0]
        self._draws += 1
        blocks = []
        for block in range(start // BLOCK, (stop - 1) // BLOCK + 1):
            generator = torch.Generator(x.device).manual_seed(mix(seed, self._draws, block))
            drawn = source((1 if alike else BLOCK, *x.shape[1:]), dtype=dtype, device=x.device, generator=generator)
            blocks.append(drawn.expand(BLOCK, *x.shape[1:]))
        offset = start % BLOCK
        return torch.cat(blocks)[offset : offset + x.shape[0]]


def _order(shape: tuple[int, ...], **how: Any) -> Tensor:
    """Random permutations of 0 … n − 1, one a row: (rows, n)."""
    return torch.rand(shape, **how).argsort(1)
