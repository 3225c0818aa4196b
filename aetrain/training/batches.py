"""The training images, batch by batch, without leaving the device, or fetched ahead of the step."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from aetrain.data.augment import augment
from aetrain.data.lazy import Lazy
from aetrain.data.split import Batch, Split, binarize_anew
from aetrain.noise import mix

AHEAD = 3  # batches that are fetched before their step


class Batches:
    """Shuffled anew for every epoch, as a function of seed and epoch alone: a resumed run finds its place again. The
    last short batch is dropped, so that every step has the same shapes; a batch larger than the split takes all of
    it."""

    def __init__(self, split: Split | Lazy, batch_size: int, seed: int, binarize: bool = False, flip: bool = False,
                 shift: int = 0):  # fmt: skip
        self._split, self._seed = split, seed
        self._binarize, self._flip, self._shift = binarize, flip, shift
        self.size = min(batch_size, len(split))
        self._orders: dict[int, Tensor] = {}  # epoch -> its permutation
        self._raw = split.buffer(self.size)
        self._ahead = _Ahead(split, self.index) if isinstance(split, Lazy) and split.is_slow else None
        self.per_epoch = len(split) // self.size

    @property
    def is_resident(self) -> bool:
        """Whether all images lie on the device, as they are: `gather` stays there."""
        return isinstance(self._split, Split)

    def get(self, step: int) -> Batch:
        """The batch of a 0-based step: x (B, C, H, W) in [0, 1] and labels (B,)."""
        return self.changed(self.fetched(step))

    def fetched(self, step: int) -> Batch:
        """`get` before anything is drawn at random: what comes from disk or from the host does so here."""
        return self._ahead.get(step) if self._ahead else self._split.gather(self.index(step), out=self._raw)

    def index(self, step: int) -> Tensor:
        """Which images are in the batch of a 0-based step: (B,)."""
        return self.indices(step, 1)[0]

    def indices(self, step: int, count: int) -> Tensor:
        """Of so many steps of one epoch: (count, B)."""
        epoch, position = divmod(step, self.per_epoch)
        order = self._orders.get(epoch)
        if order is None:
            # Two at most: where batches are fetched ahead, the next epoch begins before this one has ended.
            self._orders = {e: o for e, o in self._orders.items() if e == epoch - 1}
            order = self._orders[epoch] = self._shuffled(epoch)
        return order[position * self.size : (position + count) * self.size].view(count, self.size)

    def gather(self, index: Tensor) -> Batch:
        """index: (B,) -> x (B, C, H, W) in [0, 1] and labels (B,)."""
        return self.changed(self._split.gather(index, out=self._raw))

    def changed(self, batch: Batch) -> Batch:
        """With what is drawn for every step anew."""
        x, y = batch
        if self._flip or self._shift:
            x = augment(x, self._flip, self._shift)
        return Batch(binarize_anew(x) if self._binarize else x, y)

    def _shuffled(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(mix(self._seed, "order", epoch))
        order = torch.randperm(len(self._split), generator=generator)
        return order if self._ahead else order.to(self._split.device)


class Indices:
    """A place on the device for the indices of `room` steps, from which a CUDA graph gathers their batches."""

    def __init__(self, batches: Batches, room: int):
        self._batches, self.room = batches, room
        first = batches.index(0)
        self._index = first.new_zeros(room, len(first))

    def write(self, first: int, count: int) -> None:
        self._index[:count].copy_(self._batches.indices(first, count))

    def read(self, i: int) -> Batch:
        """Of the i-th of these steps."""
        return self._batches.gather(self._index[i])


class Fetched:
    """The same for the batch itself of one step, where the images do not lie on the device."""

    room = 1

    def __init__(self, batches: Batches, device: torch.device):
        self._batches, self._device = batches, device
        self._batch: Batch | None = None

    def write(self, first: int, count: int) -> None:
        batch = self._batches.fetched(first)
        if self._batch is None:
            self._batch = Batch(*(torch.empty_like(tensor, device=self._device) for tensor in batch))
        for place, tensor in zip(self._batch, batch, strict=True):
            place.copy_(tensor, non_blocking=True)

    def read(self, i: int) -> Batch:
        return self._batches.changed(self._batch)


class _Ahead:
    """Batches of a split that is read from disk or from the host, fetched by a thread while earlier ones are computed
    with. Which images they are is known in advance; whatever is random is drawn afterwards, in the order of the
    steps."""

    def __init__(self, split: Lazy, index: Callable[[int], Tensor]):
        self._split, self._index = split, index
        self._pool = ThreadPoolExecutor(1, "batches")
        self._futures: dict[int, tuple[Tensor, Future[Tensor]]] = {}

    def get(self, step: int) -> Batch:
        self._futures = {s: future for s, future in self._futures.items() if s >= step}
        for later in range(step, step + AHEAD):
            if later not in self._futures:
                index = self._index(later)
                self._futures[later] = index, self._pool.submit(self._split.fetch, index)
        index, future = self._futures[step]
        return self._split.finish(future.result(), index)
