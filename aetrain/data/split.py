"""Images of a split, asked by index and by portion."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aetrain.data.facts import Facts
from aetrain.files import opened_regular, write_atomically

UNLABELLED = -1
MEAN_OVER = 60_000  # images, at most, of which the mean image is taken
MEAN_AT_ONCE = 512


class Batch(NamedTuple):
    """x: (B, C, H, W) in [0, 1]; y: labels (B,), int64, UNLABELLED where there are none."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class Split:
    """Resident on a device. images: uint8 (N, C, H, W), or floats that are passed as they are, such as codes (N, D);
    labels: int64 (N,). of_factors: which value of each factor an image was made from, int64 (N, F). of_names: what the
    images are called."""

    images: Tensor
    labels: Tensor
    of_factors: Tensor | None = None
    of_names: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, ...]:
        return tuple(self.images.shape[1:])

    @property
    def device(self) -> torch.device:
        return self.images.device

    def gather(self, index: Tensor, out: Tensor | None = None) -> Batch:
        """The images of an index, (B,). out: a buffer like `buffer()`; selecting into one is six times faster than
        images[index]."""
        raw = torch.index_select(self.images, 0, index, out=out)
        return Batch(to_unit(raw), torch.index_select(self.labels, 0, index))

    def buffer(self, n: int) -> Tensor:
        """For `gather`: room for n images."""
        return torch.empty((n, *self.images.shape[1:]), dtype=self.images.dtype, device=self.device)

    def chunks(self, n: int, most: int | None = None) -> Iterator[Batch]:
        """All images in order, or the first `most`, n at a time."""
        end = len(self) if most is None else min(most, len(self))
        for start in range(0, end, n):
            stop = min(start + n, end)
            yield Batch(to_unit(self.images[start:stop]), self.labels[start:stop])

    def first(self, n: int) -> Batch:
        """The first n images, or all if they are fewer."""
        return Batch(to_unit(self.images[:n]), self.labels[:n])

    def factors(self, index: Tensor) -> Tensor:
        """Which value of each factor the images of an index were made from: (B, F), int64; F is 0 where that is not
        known."""
        if self.of_factors is None:
            return torch.empty((len(index), 0), dtype=torch.int64, device=self.device)
        return self.of_factors.index_select(0, index)

    def names(self, index: Tensor) -> list[str]:
        """What the images of an index are called: their files, relative to the folder, or their numbers."""
        places = index.tolist()
        return [str(i) for i in places] if self.of_names is None else [self.of_names[i] for i in places]

    def take(self, rows: Tensor) -> Split:
        """The images of `rows`, (n,), alone."""
        factors = None if self.of_factors is None else self.of_factors.index_select(0, rows)
        names = None if self.of_names is None else [self.of_names[i] for i in rows.tolist()]
        return Split(self.images.index_select(0, rows), self.labels.index_select(0, rows), factors, names)

    def relabelled(self, table: Tensor) -> Split:
        """With label i replaced by table[i]."""
        return replace(self, labels=table[self.labels])

    def to(self, device: torch.device) -> Split:
        factors = None if self.of_factors is None else self.of_factors.to(device)
        return Split(self.images.to(device), self.labels.to(device), factors, self.of_names)

    def mean_image(self) -> Tensor:
        """See `mean_of`."""
        return mean_of(len(self), lambda index: self.images[index.to(self.device)])


def mean_of(n: int, fetch: Callable[[Tensor], Tensor], most: int = MEAN_OVER) -> Tensor:
    """The mean of n images, or of `most` evenly spread, as (C, H, W) in [0, 1] on the CPU: the same to the bit wherever
    the images lie. fetch: (B,) -> (B, C, H, W), uint8 or floats in [0, 1]."""
    index, total, white = torch.arange(n), 0, 1
    if n > most:
        index = torch.arange(most) * n // most
    for part in index.split(MEAN_AT_ONCE):
        raw = fetch(part).cpu()
        if raw.is_floating_point():
            total = total + raw.sum(0, dtype=torch.float64)
        else:  # numpy adds up bytes as they are, ten times faster than torch and without a copy in floats
            total, white = total + torch.from_numpy(raw.numpy().sum(0, dtype=np.int64)), 255
    return (total.double() / (white * len(index))).float()


def joined(parts: Sequence[Split]) -> Split:
    """Several splits, one after the other."""
    columns = [[getattr(part, name) for part in parts] for name in ("images", "labels", "of_factors")]
    images, labels, factors = (None if column[0] is None else torch.cat(column) for column in columns)
    names = None
    if parts[0].of_names is not None:
        names = [name for part in parts for name in part.of_names]
    return Split(images, labels, factors, names)


@dataclass(frozen=True)
class Splits:
    train: Split
    val: Split
    test: Split
    n_classes: int
    binary: bool = False  # every pixel 0 or 1
    factors: tuple[str, ...] = ()  # names
    classes: tuple[str, ...] = ()  # names, by label
    scale: float = 255.0  # see Facts
    mean_at: Path | None = None  # the file that keeps the mean training image, with the decoded images

    def facts(self) -> Facts:
        """What a model must know of the data."""
        train = self.train
        mean = kept(self.mean_at, train.image_shape, train.mean_image) if self.mean_at else train.mean_image()
        return Facts(train.image_shape, len(train), mean, self.n_classes, self.binary, self.factors, self.scale)

    @property
    def unlabelled(self) -> int:
        """Images without a label."""
        return sum(int((split.labels == UNLABELLED).sum()) for split in (self.train, self.val, self.test))

    @property
    def held_out(self) -> Split:
        """The validation split, or the test split where there is none."""
        return self.val if len(self.val) else self.test


def kept(path: Path, shape: tuple[int, ...], compute: Callable[[], Tensor]) -> Tensor:
    """What `compute` gives, float32 of `shape`, read from a file where one holds it."""
    with suppress(OSError):
        with opened_regular(path, follow=True) as file:
            content = file.read(4 * math.prod(shape) + 1)
        if len(content) == 4 * math.prod(shape):
            return torch.frombuffer(bytearray(content), dtype=torch.float32).view(shape)
    value = compute()
    with suppress(OSError):  # a full disk costs the next run a second, not this one its data
        write_atomically(path, value.numpy().tobytes())
    return value


def to_unit(images: Tensor) -> Tensor:
    """uint8 in 0…255 -> floats in [0, 1] of the default dtype. Floats, such as codes, are passed as they are."""
    return images if images.is_floating_point() else images / 255


def thresholded(images: Tensor) -> Tensor:
    """uint8 0 and 255, or floats 0 and 1: white from one half on."""
    white = 1 if images.is_floating_point() else 255
    return (images >= (0.5 if white == 1 else 128)).to(images.dtype) * white


def binarize_anew(x: Tensor) -> Tensor:
    """Each pixel 1 with its grey value as probability (Burda et al. 2015), from torch's global generator."""
    return (torch.rand_like(x) < x).to(x.dtype)
