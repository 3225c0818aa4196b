"""A configuration's splits: read by its source, held out, binarized, on the device."""

from __future__ import annotations

from importlib import import_module

import torch
from torch import Tensor

from aetrain.config.schema.data import Data
from aetrain.config.tables import SETS
from aetrain.data.card import card
from aetrain.data.split import Split, Splits
from aetrain.noise import mix


def load(config: Data, device: torch.device) -> Splits:
    """The splits that config.data describes, on the device.

    The held-out images are the same for every seed, so that runs over seeds share their splits.
    """
    parts = import_module(SETS.module(config.name)).load(config)  # {"train": Split, "test": Split}
    train, test = (
        Split(_binarize(parts[p].images, config.binarization, p), parts[p].labels) for p in ("train", "test")
    )
    # Held-out images of a set that is binarized anew for every batch are binarized once, as the test images are.
    still = (
        Split(_binarize(train.images, "static", "train"), train.labels) if config.binarization == "dynamic" else train
    )
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(mix("validation split")))
    is_held_out = torch.zeros(len(train), dtype=torch.bool)
    is_held_out[order[: config.val_size]] = True
    held_out, kept = is_held_out.nonzero().flatten(), (~is_held_out).nonzero().flatten()  # as sorted, 0.1 s sooner
    indices = {"train": (train, kept), "val": (still, held_out), "test": (test, torch.arange(len(test)))}
    splits = {}
    for name, (split, index) in indices.items():
        index = index[: config.limit]
        splits[name] = Split(split.images.index_select(0, index), split.labels.index_select(0, index)).to(device)
    known = card(config)
    return Splits(**splits, n_classes=known.n_classes, binary=config.binarization != "none", factors=known.factors)


def _binarize(images: Tensor, how: str, part: str) -> Tensor:
    """uint8 images of 0 and 255. `dynamic` binarizes the training images batch by batch instead, and the others once:
    a test set that changed with every evaluation would be none."""
    if how == "threshold":
        return (images >= 128).to(torch.uint8) * 255
    if how == "static" or (how == "dynamic" and part == "test"):
        generator = torch.Generator().manual_seed(mix("static binarization", part))
        return (torch.rand(images.shape, generator=generator) < images / 255).to(torch.uint8) * 255
    return images
