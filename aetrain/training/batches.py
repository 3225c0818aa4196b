"""The training images, batch by batch, without leaving the device."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain.data.split import Batch, Split, binarize_anew
from aetrain.noise import mix


class Batches:
    """Shuffled anew for every epoch, as a function of seed and epoch alone: a resumed run finds its place again. The
    last short batch is dropped, so that every step has the same shapes; a batch larger than the split takes all of
    it."""

    def __init__(self, split: Split, batch_size: int, seed: int, binarize: bool = False):
        self._split, self._seed, self._binarize = split, seed, binarize
        self.size = min(batch_size, len(split))
        self._epoch = -1
        self._order: Tensor = torch.empty(0)
        self._raw = split.buffer(self.size)
        self.per_epoch = len(split) // self.size

    def get(self, step: int) -> Batch:
        """The batch of a 0-based step: x (B, C, H, W) in [0, 1] and labels (B,)."""
        return self.gather(self.index(step))

    def index(self, step: int) -> Tensor:
        """Which images are in the batch of a 0-based step: (B,)."""
        epoch, position = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        return self._order[position * self.size : (position + 1) * self.size]

    def gather(self, index: Tensor) -> Batch:
        """index: (B,) -> x (B, C, H, W) in [0, 1] and labels (B,)."""
        x, y = self._split.gather(index, out=self._raw)
        return Batch(binarize_anew(x) if self._binarize else x, y)

    def _shuffled(self, epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(mix(self._seed, "order", epoch))
        return torch.randperm(len(self._split), generator=generator).to(self._split.device)
