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
from aetrain.data.card import PARTS, Card, card, kept_labels, sizes
from aetrain.data.lazy import Lazy, Stored
from aetrain.data.memory import is_resident
from aetrain.data.split import Split, Splits, joined
from aetrain.errors import UserError
from aetrain.noise import mix

CPU = torch.device("cpu")


def load(config: Data, device: torch.device) -> Splits:
    """The splits that config.data describes, on the device.

    The held-out images are the same for every seed, so that runs over seeds share their splits.
    """
    parts, known = _parts(config), card(config)
    rows = {}
    for name, (part, index) in held_out(parts, config).items():
        if known.is_sorted:
            index = index[_order(name, len(index))]
        rows[name] = part, index[: config.limit]
    keeps = _keeps(config, known, parts, sum(len(index) for _, index in rows.values()), device)
    # A set that is binarized anew for every batch is so in training alone: a split that changed with every evaluation
    # would be none.
    how = dict.fromkeys(rows, "static" if config.binarization == "dynamic" else config.binarization)
    how["train"] = config.binarization
    splits = {
        name: _placed(parts[part], part, index, how[name], known, keeps).to(device)
        for name, (part, index) in rows.items()
    }
    return _with_facts(splits, known, config, _mean_at(config, *rows["train"]))


def load_whole(config: Data, device: torch.device) -> Splits:
    """All images in one split, `test`, in the data's own order: for data that are looked at, not trained on."""
    parts, known = _parts(config), card(config)
    how = "static" if config.binarization == "dynamic" else config.binarization
    left, rows = config.limit, {}
    for name in (name for name in PARTS if name in parts):
        index = torch.arange(len(parts[name]))
        if left is not None:
            index = index[_order(name, len(index))][:left] if known.is_sorted else index[:left]
            left -= len(index)
        rows[name] = index
    keeps = _keeps(config, known, parts, sum(map(len, rows.values())), device)
    found = [_placed(parts[name], name, index, how, known, keeps).to(device) for name, index in rows.items()]
    if len(found) > 1 and any(isinstance(part, Lazy) for part in found):
        raise UserError(
            f"split=all: data={config.name} are read as they are needed, one split at a time; give split=test"
        )
    whole = found[0] if len(found) == 1 else joined(found)
    none = whole.take(torch.arange(0))
    return _with_facts({"train": none, "val": none, "test": whole}, known, config)


def _parts(config: Data) -> dict[str, Lazy]:
    """train, and val and test where the data have them, of the classes that are kept; in a map or in memory, nothing of
    it copied."""
    source = import_module(SETS.module(config.name))
    parts = {
        name: part if isinstance(part, Lazy) else Lazy(Stored(part, CPU), torch.arange(len(part)))
        for name, part in source.load(config).items()
    }
    return parts if config.classes is None else _of_classes(parts, config, source.card(config))


def _order(name: str, n: int) -> Tensor:
    """A fixed permutation, for images that lie sorted by class or factor."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(mix("order", name)))


def _keeps(config: Data, known: Card, parts: dict[str, Lazy], n: int, device: torch.device) -> bool:
    """Whether n images are to be held on the device. Raises a UserError for a binarization that cannot be had."""
    if not isinstance(parts["train"].source, Stored):  # computed
        if not known.binary and config.binarization in ("static", "dynamic"):
            raise UserError(
                f"data.binarization={config.binarization}: the images of data={config.name} are computed again each "
                "time, and nothing that is drawn is kept; data.binarization=threshold needs no room"
            )
        return False
    return is_resident(config.resident, n * math.prod(known.image_shape) * known.bytes_per_value, device)


def _placed(whole: Lazy, part: str, index: Tensor, how: str, known: Card, keeps: bool) -> Split | Lazy:
    """The images of an index, binarized, in one piece of memory where they are kept so. part: of the data, for the
    noise."""
    chosen = whole.take(index)
    if how == "threshold":
        chosen = chosen.thresholded()
    elif how == "static" and not known.binary:
        chosen = draw(whole, part, index)
    return chosen.held() if keeps else chosen


def _with_facts(splits: dict[str, Split], known: Card, config: Data, mean_at: Path | None = None) -> Splits:
    binary = known.binary or config.binarization != "none"
    return Splits(**splits, n_classes=known.n_classes, binary=binary, factors=known.factors, classes=known.classes,
                  scale=known.scale, mean_at=mean_at)  # fmt: skip


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


def _mean_at(config: Data, part: str, rows: Tensor) -> Path | None:
    """Where the mean of these training images is kept, for a source that keeps what it decodes."""
    source = import_module(SETS.module(config.name))
    if not hasattr(source, "place"):
        return None
    about = hashlib.blake2b(f"{part} {config.classes} {config.binarization}".encode(), digest_size=8)
    about.update(rows.numpy().tobytes())
    return source.place(config) / f"mean-{about.hexdigest()}"
