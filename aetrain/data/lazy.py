"""Images that are made, or read from a map, when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from aetrain.data.split import MEAN_OVER, Batch, Split, mean_of, thresholded, to_unit


class Source(Protocol):
    """Where the images of a Lazy split come from. device: where a batch of them is wanted; rows and labels are on
    `index_device`. is_slow: worth a thread that fetches the next batch while the last one is computed with."""

    image_shape: tuple[int, int, int]
    device: torch.device
    index_device: torch.device
    is_slow: bool
    mean_over: int  # images, at most, of which the mean image is taken

    def fetch(self, rows: Tensor) -> Tensor:
        """The images of rows, (B,): uint8 or floats, (B, C, H, W). May run in a thread, draws no random numbers."""

    def on(self, device: torch.device) -> Source:
        """The same for another device."""

    def labels(self, rows: Tensor) -> Tensor: ...

    def factors(self, rows: Tensor) -> Tensor: ...

    def names(self, rows: Tensor) -> list[str]: ...


@dataclass(frozen=True)
class Lazy:
    """The `rows`, (N,), of a source: all that a Split is, but for its tensors. table: label of the source -> label;
    threshold: pixels are 0 or 1."""

    source: Source
    rows: Tensor
    table: Tensor | None = None
    threshold: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def image_shape(self) -> tuple[int, ...]:
        return self.source.image_shape

    @property
    def device(self) -> torch.device:
        return self.source.device

    @property
    def index_device(self) -> torch.device:
        return self.source.index_device

    @property
    def is_slow(self) -> bool:
        return self.source.is_slow

    @property
    def labels(self) -> Tensor:
        return self._labels(self.rows)

    def _labels(self, rows: Tensor) -> Tensor:
        labels = self.source.labels(rows)
        return labels if self.table is None else self.table.to(labels.device)[labels]

    def fetch(self, index: Tensor) -> Tensor:
        """See Source.fetch."""
        return self.source.fetch(self.rows[index])

    def finish(self, raw: Tensor, index: Tensor) -> Batch:
        """What was fetched for an index, on the device."""
        raw = raw.to(self.device, non_blocking=True)
        x = to_unit(thresholded(raw) if self.threshold else raw)
        return Batch(x, self._labels(self.rows[index]).to(self.device, non_blocking=True))

    def gather(self, index: Tensor, out: Tensor | None = None) -> Batch:
        """The images of an index, (B,)."""
        index = index.to(self.index_device)
        return self.finish(self.fetch(index), index)

    def buffer(self, n: int) -> None:
        """For `gather`: it needs none."""

    def chunks(self, n: int, most: int | None = None) -> Iterator[Batch]:
        """All images in order, or the first `most`, n at a time."""
        end = len(self) if most is None else min(most, len(self))
        for start in range(0, end, n):
            yield self.gather(torch.arange(start, min(start + n, end), device=self.index_device))

    def first(self, n: int) -> Batch:
        """The first n images, or all if they are fewer."""
        return self.gather(torch.arange(min(n, len(self)), device=self.index_device))

    def factors(self, index: Tensor) -> Tensor:
        """(B, F), int64."""
        return self.source.factors(self.rows[index.to(self.index_device)])

    def names(self, index: Tensor) -> list[str]:
        return self.source.names(self.rows[index.to(self.index_device)])

    def take(self, rows: Tensor) -> Lazy:
        return replace(self, rows=self.rows[rows.to(self.index_device)])

    def relabelled(self, table: Tensor) -> Lazy:
        return replace(self, table=table if self.table is None else table[self.table.to(table.device)])

    def thresholded(self) -> Lazy:
        return replace(self, threshold=True)

    def to(self, device: torch.device) -> Lazy:
        source = self.source.on(device)
        table = None if self.table is None else self.table.to(source.index_device)
        return replace(self, source=source, rows=self.rows.to(source.index_device), table=table)

    def mean_image(self) -> Tensor:
        """See `mean_of`; over at most source.mean_over images."""

        def fetch(index: Tensor) -> Tensor:
            raw = self.fetch(index.to(self.index_device))
            return thresholded(raw) if self.threshold else raw

        return mean_of(len(self), fetch, self.source.mean_over)

    def held(self) -> Split:
        """The same images in memory, where the source's rows are: read once, in one piece."""
        index = torch.arange(len(self), device=self.index_device)
        images = self.fetch(index)
        return Split(
            thresholded(images) if self.threshold else images, self.labels, self.factors(index), self.names(index)
        )


class Stored:
    """A part of the data that stays where it is, in a map of a file or in the host's memory."""

    is_slow = True
    index_device = torch.device("cpu")
    mean_over = MEAN_OVER

    def __init__(self, part: Split, device: torch.device):
        self._part, self.device = part, device
        self.image_shape = part.image_shape
        self._images: np.ndarray = part.images.numpy()

    def fetch(self, rows: Tensor) -> Tensor:
        found = _room(rows, self.image_shape, self._part.images.dtype, self.device)
        # numpy, and not torch: it reads in one thread, without Python's lock, beside torch's own
        np.take(self._images, rows.numpy(), axis=0, out=found.numpy(), mode="clip")
        return found

    def on(self, device: torch.device) -> Stored:
        return Stored(self._part, device)

    def labels(self, rows: Tensor) -> Tensor:
        return self._part.labels[rows]

    def factors(self, rows: Tensor) -> Tensor:
        return self._part.factors(rows)

    def names(self, rows: Tensor) -> list[str]:
        return self._part.names(rows)


class Bits:
    """Images of 0 and 255 that were drawn once from others, kept in the host's memory, eight pixels to a byte.
    bits: (N, ceil(C·H·W / 8)); of: the N images that they were drawn from."""

    is_slow = True
    index_device = torch.device("cpu")
    mean_over = MEAN_OVER

    def __init__(self, bits: np.ndarray, of: Lazy, device: torch.device):
        self._bits, self._of, self.device = bits, of, device
        self.image_shape = of.image_shape

    def fetch(self, rows: Tensor) -> Tensor:
        found = _room(rows, self.image_shape, torch.uint8, self.device)
        pixels = np.unpackbits(self._bits[rows.numpy()], axis=1, count=math.prod(self.image_shape))
        np.multiply(pixels.reshape(found.shape), 255, out=found.numpy())
        return found

    def on(self, device: torch.device) -> Bits:
        return Bits(self._bits, self._of, device)

    def labels(self, rows: Tensor) -> Tensor:
        return self._of.take(rows).labels

    def factors(self, rows: Tensor) -> Tensor:
        return self._of.factors(rows)

    def names(self, rows: Tensor) -> list[str]:
        return self._of.names(rows)


def _room(rows: Tensor, image_shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """For the images of rows: pinned for a GPU, which then copies them beside its work."""
    return torch.empty((len(rows), *image_shape), dtype=dtype, pin_memory=device.type == "cuda")
