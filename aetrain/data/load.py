"""A configuration's splits: read by its source, held out, binarized, on the device."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from importlib import import_module

import torch
from torch import Tensor

from aetrain.config.schema.data import Data
from aetrain.config.tables import SETS
from aetrain.data.card import PARTS, Card, card, kept_labels, sizes
from aetrain.data.lazy import Lazy, Stored
from aetrain.data.memory import available
from aetrain.data.split import Split, Splits, joined
from aetrain.errors import UserError
from aetrain.noise import mix

log = logging.getLogger(__name__)


def load(config: Data, device: torch.device) -> Splits:
    """The splits that config.data describes, on the device.

    The held-out images are the same for every seed, so that runs over seeds share their splits.
    """
    parts, known = _parts(config), card(config)
    keeps = _is_resident(config, known, device)
    splits = {}
    for name, (part, index) in held_out(parts, config).items():
        if known.is_sorted:
            index = index[_order(name, len(index))]
        # A set that is binarized anew for every batch is so in training alone: a split that changed with every
        # evaluation would be none.
        how = "static" if config.binarization == "dynamic" and name != "train" else config.binarization
        splits[name] = _placed(parts[part], part, index[: config.limit], how, keeps, device)
    return _with_facts(splits, known, config)


def load_whole(config: Data, device: torch.device) -> Splits:
    """All images in one split, `test`, in the data's own order: for data that are looked at, not trained on."""
    parts, known = _parts(config), card(config)
    keeps = _is_resident(config, known, device)
    how = "static" if config.binarization == "dynamic" else config.binarization
    left, found = config.limit, []
    for name in (name for name in PARTS if name in parts):
        index = torch.arange(len(parts[name]))
        if left is not None:
            index = index[_order(name, len(index))][:left] if known.is_sorted else index[:left]
            left -= len(index)
        found.append(_placed(parts[name], name, index, how, keeps, device))
    if len(found) > 1 and any(isinstance(part, Lazy) for part in found):
        raise UserError(
            f"split=all: data={config.name} are read as they are needed, one split at a time; give split=test"
        )
    whole = found[0] if len(found) == 1 else joined(found)
    none = whole.take(torch.arange(0))
    return _with_facts({"train": none, "val": none, "test": whole}, known, config)


def _parts(config: Data) -> dict[str, Split]:
    """{"train": Split, and "val" and "test" where the data have them}, of the classes that are kept."""
    source = import_module(SETS.module(config.name))
    parts = source.load(config)
    return parts if config.classes is None else _of_classes(parts, config, source.card(config))


def _order(name: str, n: int) -> Tensor:
    """A fixed permutation, for images that lie sorted by class or factor."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(mix("order", name)))


def _placed(whole: Split, part: str, index: Tensor, how: str, keeps: bool, device: torch.device) -> Split:
    """The images of an index, binarized, where they are to be. part: of the data, for the noise."""
    if isinstance(whole, Lazy):
        return whole.take(index).to(device)
    if keeps:
        return _binarized(whole.take(index), how, part, index, len(whole)).to(device)
    return Lazy(Stored(whole, device), index, threshold=how == "threshold")


def _with_facts(splits: dict[str, Split], known: Card, config: Data) -> Splits:
    binary = known.binary or config.binarization != "none"
    return Splits(**splits, n_classes=known.n_classes, binary=binary, factors=known.factors, classes=known.classes)


SHARE_OF_MEMORY = 0.5  # of what is free, that images may take


def _is_resident(config: Data, known: Card, device: torch.device) -> bool:
    """Whether the images are to be held on the device. Raises a UserError for what needs that and cannot have it."""
    size = (
        known.bytes_per_value * math.prod(known.image_shape) * sum(s or 0 for s in (known.train, known.val, known.test))
    )
    if config.limit is not None:
        size = min(size, 3 * config.limit * known.bytes_per_value * math.prod(known.image_shape))
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available()
    keeps = size <= SHARE_OF_MEMORY * free if config.resident == "auto" else config.resident
    if not keeps and not known.binary and config.binarization in ("static", "dynamic"):
        raise UserError(
            f"data.binarization={config.binarization}: keeps what it draws, which takes data.resident=true; "
            "data.binarization=threshold needs no room"
        )
    if not keeps and config.resident == "auto":
        log.info("%.1f GB of images do not fit into half of the free memory: read while training", size / 1e9)
    return keeps


def _of_classes(parts: dict[str, Split], config: Data, whole: Card) -> dict[str, Split]:
    table = torch.full((len(whole.classes),), -1)
    kept = kept_labels(whole, config)
    table[kept] = torch.arange(len(kept))
    return {
        name: part.take((table[part.labels] >= 0).nonzero().flatten()).relabelled(table) for name, part in parts.items()
    }


def held_out(parts: dict[str, Split], config: Data) -> dict[str, tuple[str, Tensor]]:
    """Split -> (part of the data, rows of it), in the part's own order."""
    wanted, n = sizes(config), len(parts["train"])
    role = torch.zeros(n, dtype=torch.uint8)
    free = torch.arange(n)
    for number, name in ((2, "test"), (1, "val")):
        if name in parts:
            continue
        order = torch.randperm(len(free), generator=torch.Generator().manual_seed(mix(f"{_WORDS[name]} split")))
        role[free[order[: getattr(wanted, name)]]] = number
        free = (role == 0).nonzero().flatten()
    rows = {"train": ("train", free)}
    for number, name in ((1, "val"), (2, "test")):
        own = name in parts
        rows[name] = (name, torch.arange(len(parts[name]))) if own else ("train", (role == number).nonzero().flatten())
    return rows


_WORDS = {"val": "validation", "test": "test"}


def _binarized(split: Split, how: str, part: str, rows: Tensor, total: int) -> Split:
    """uint8 images of 0 and 255, floats of 0 and 1. Drawn once, an image's pixels depend on its place in its part of
    the data alone, not on the other images that are kept."""
    images, white = split.images, 1 if split.images.is_floating_point() else 255
    if how == "threshold":
        return replace(split, images=(images >= (0.5 if white == 1 else 128)).to(images.dtype) * white)
    if how != "static":
        return split
    generator = torch.Generator().manual_seed(mix("static binarization", part))
    shape = (total, *images.shape[1:])
    noise = torch.rand(shape, generator=generator).index_select(0, rows)
    return replace(split, images=(noise < images / white).to(images.dtype) * white)
