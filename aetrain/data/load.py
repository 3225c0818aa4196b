"""A configuration's splits: read by its source, held out, binarized, on the device."""

from __future__ import annotations

import hashlib
import math
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor

from aetrain.config.schema.data import Data
from aetrain.config.tables import SETS
from aetrain.data.binarize import draw
from aetrain.data.card import Card, card, kept_labels, sizes
from aetrain.data.lazy import Bits, Lazy, Stored
from aetrain.data.memory import is_resident
from aetrain.data.split import Split, Splits
from aetrain.errors import UserError
from aetrain.noise import mix

CPU = torch.device("cpu")


def load(config: Data, device: torch.device) -> Splits:
    """The splits that config.data describes, on the device.

    The held-out images are the same for every seed, so that runs over seeds share their splits.
    """
    source = import_module(SETS.module(config.name))
    parts = {name: _lazy(part) for name, part in source.load(config).items()}  # train, and val and test where there are
    known = card(config)
    if config.classes is not None:
        parts = _of_classes(parts, config, source.card(config))
    rows = _rows(parts, config, known)
    is_computed = not isinstance(parts["train"].source, Stored | Bits)
    if is_computed and not known.binary and config.binarization in ("static", "dynamic"):
        raise UserError(
            f"data.binarization={config.binarization}: the images of data={config.name} are computed anew each time, "
            "and nothing that is drawn is kept; data.binarization=threshold needs no room"
        )
    size = known.bytes_per_value * math.prod(known.image_shape) * sum(len(index) for _, index in rows.values())
    keeps = not is_computed and is_resident(config.resident, size, device)
    splits = {}
    for name, (part, index) in rows.items():
        # A set that is binarized anew for every batch is so in training alone: a split that changed with every
        # evaluation would be none.
        how = "static" if config.binarization == "dynamic" and name != "train" else config.binarization
        chosen = parts[part].take(index)
        if how == "threshold":
            chosen = chosen.thresholded()
        elif how == "static" and not known.binary:
            chosen = Lazy(Bits(draw(parts[part], part, index), chosen, CPU), torch.arange(len(index)))
        splits[name] = (chosen.held() if keeps else chosen).to(device)
    binary, mean_at = known.binary or config.binarization != "none", _mean_at(source, config, rows["train"])
    return Splits(**splits, n_classes=known.n_classes, binary=binary, factors=known.factors, classes=known.classes,
                  scale=known.scale, mean_at=mean_at)  # fmt: skip


def _lazy(part: Split | Lazy) -> Lazy:
    return part if isinstance(part, Lazy) else Lazy(Stored(part, CPU), torch.arange(len(part)))


def _rows(parts: dict[str, Lazy], config: Data, known: Card) -> dict[str, tuple[str, Tensor]]:
    """Split -> (part of the data, rows of it that are in the split, in its order)."""
    rows = {}
    for name, (part, index) in held_out(parts, config).items():
        if known.is_sorted:
            order = torch.randperm(len(index), generator=torch.Generator().manual_seed(mix("order", name)))
            index = index[order]
        rows[name] = part, index[: config.limit]
    return rows


def _of_classes(parts: dict[str, Lazy], config: Data, whole: Card) -> dict[str, Lazy]:
    table = torch.full((len(whole.classes),), -1)
    kept = kept_labels(whole, config)
    table[kept] = torch.arange(len(kept))
    return {
        name: part.take((table[part.labels] >= 0).nonzero().flatten()).relabelled(table) for name, part in parts.items()
    }


def held_out(parts: dict[str, Lazy], config: Data) -> dict[str, tuple[str, Tensor]]:
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


def _mean_at(source: object, config: Data, train: tuple[str, Tensor]) -> Path | None:
    """Where the mean of these training images is kept, for a source that keeps what it decodes."""
    if not hasattr(source, "place"):
        return None
    part, index = train
    about = hashlib.blake2b(f"{part} {config.classes} {config.binarization}".encode(), digest_size=8)
    about.update(index.numpy().tobytes())
    return source.place(config) / f"mean-{about.hexdigest()}"
