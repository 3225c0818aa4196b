"""Datasets as uint8 tensors, resident on the training device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aetrain.data import mnist
from aetrain.models.autoencoder import Facts
from aetrain.noise import mix


@dataclass(frozen=True)
class Split:
    """images: uint8 (N, C, H, W), labels: int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> Split:
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Splits:
    train: Split
    val: Split
    test: Split
    n_classes: int
    binary: bool = False  # every pixel 0 or 1

    def facts(self) -> Facts:
        """What a model must know of the data."""
        images = self.train.images
        if images.is_floating_point():
            mean = images.mean(0, dtype=torch.float64).float()
            return Facts(tuple(images.shape[1:]), len(images), mean, self.n_classes, self.binary)
        # numpy adds up bytes as they are, ten times faster than torch and without a copy in floats, which would be the
        # largest thing in memory.
        total = torch.from_numpy(images.cpu().numpy().sum(0, dtype=np.int64))
        mean = (total.double() / (255 * len(images))).float()
        return Facts(tuple(images.shape[1:]), len(images), mean, self.n_classes, self.binary)


def load(config, device: torch.device) -> Splits:
    """The splits that config.data describes, on the device.

    The held-out images are the same for every seed, so that runs over seeds share their splits.
    """
    files = mnist.load(config.root)
    train, test = (Split(_binarize(x, config.binarization, part), y) for part, x, y in files)
    # Held-out images of a set that is binarized anew for every batch are binarized once, as the test images are.
    still = (
        Split(_binarize(train.images, "static", "train"), train.labels) if config.binarization == "dynamic" else train
    )
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(mix("validation split")))
    is_held_out = torch.zeros(len(train), dtype=torch.bool)
    is_held_out[order[: config.val_size]] = True
    held_out, kept = is_held_out.nonzero().flatten(), (~is_held_out).nonzero().flatten()  # as sorted, 0.1 s sooner
    parts = {"train": (train, kept), "val": (still, held_out), "test": (test, torch.arange(len(test)))}
    splits = {}
    for name, (split, index) in parts.items():
        index = index[: config.limit]
        splits[name] = Split(split.images.index_select(0, index), split.labels.index_select(0, index)).to(device)
    return Splits(**splits, n_classes=10, binary=config.binarization != "none")


def to_unit(images: Tensor) -> Tensor:
    """uint8 in 0…255 -> floats in [0, 1] of the default dtype. Floats, such as codes, are passed as they are."""
    return images if images.is_floating_point() else images / 255


def binarize_anew(x: Tensor) -> Tensor:
    """Each pixel 1 with its grey value as probability (Burda et al. 2015), from torch's global generator."""
    return (torch.rand_like(x) < x).to(x.dtype)


def _binarize(images: Tensor, how: str, part: str) -> Tensor:
    """uint8 images of 0 and 255. `dynamic` binarizes the training images batch by batch instead, and the others once:
    a test set that changed with every evaluation would be none."""
    if how == "threshold":
        return (images >= 128).to(torch.uint8) * 255
    if how == "static" or (how == "dynamic" and part == "test"):
        generator = torch.Generator().manual_seed(mix("static binarization", part))
        return (torch.rand(images.shape, generator=generator) < images / 255).to(torch.uint8) * 255
    return images
