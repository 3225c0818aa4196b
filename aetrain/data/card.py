"""What is known of a data set without opening it. Imports no torch: a wrong size is answered at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from aetrain.config.schema.data import Data
from aetrain.config.tables import SETS
from aetrain.config.words import suggest
from aetrain.errors import UserError

PARTS = ("train", "val", "test")
METADATA = "metadata.csv"  # in a folder of images: see scan.py
SHARE = 0.1  # held out for validation, and for the test, of data that say nothing about it


@dataclass(frozen=True)
class Card:
    """image_shape: C, H, W. train, val, test: images of each part before any are held out or left out; None for a
    part that the data do not have, and that is held out of `train`."""

    image_shape: tuple[int, int, int]
    train: int
    test: int | None
    n_classes: int
    factors: tuple[str, ...] = ()  # names of the factors that the images were made from, where they are known
    val: int | None = None
    classes: tuple[str, ...] = ()  # names, by label
    counts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # part -> images of each class
    binary: bool = False  # every pixel is 0 or 1
    is_sorted: bool = False  # by class or factor: the first images of a split are then alike, and it is shuffled once
    is_own: bool = False  # the user's own, of any size: a batch larger than the training split is capped
    bytes_per_value: int = 1  # 1: uint8, 4: float32
    scale: float = 255.0  # see Facts


class Sizes(NamedTuple):
    """Images of each split, after holding out, before data.limit."""

    train: int
    val: int
    test: int


def card(config: Data) -> Card:
    """The card of the data set that a configuration names, with the classes that it keeps. Each source's module has a
    `card(config)`."""
    whole = import_module(SETS.module(config.name)).card(config)
    return whole if config.classes is None else _kept(whole, config)


def _kept(whole: Card, config: Data) -> Card:
    labels = kept_labels(whole, config)
    counts = {part: tuple(numbers[i] for i in labels) for part, numbers in whole.counts.items()}
    sizes = {part: sum(numbers) for part, numbers in counts.items()}
    return replace(whole, **sizes, counts=counts, classes=tuple(whole.classes[i] for i in labels),
                   n_classes=len(labels))  # fmt: skip


def kept_labels(whole: Card, config: Data) -> list[int]:
    """The labels that data.classes keeps, in its order: the first becomes 0. Raises a UserError."""
    if not whole.classes:
        raise UserError(f"data.classes: data={config.name} has no labels here; leave it out")
    if unknown := [name for name in config.classes if name not in whole.classes]:
        raise UserError(f"data.classes: there is no class '{unknown[0]}'; {suggest(unknown[0], whole.classes)}")
    if len(set(config.classes)) < len(config.classes):
        raise UserError("data.classes: a class is named twice; name it once")
    return [whole.classes.index(name) for name in config.classes]


def sizes(config: Data) -> Sizes:
    """How many images each split has once some are held out. Raises a UserError where none would be left."""
    known = card(config)
    test = known.test if known.test is not None else _number(getattr(config, "test_size", None), known.train)
    if known.val is not None:
        if config.val_size is not None:
            raise UserError(
                f"data.val_size={config.val_size}: these data have a validation split of their own; leave it out"
            )
        val = known.val
    else:
        val = _number(config.val_size, known.train)
    train = known.train - (test if known.test is None else 0) - (val if known.val is None else 0)
    if train < 1 or test < 1:
        raise UserError(_none_left(config, known, train))
    return Sizes(train, val, test)


def _none_left(config: Data, known: Card, train: int) -> str:
    if known.test is not None and known.val is None and config.val_size is not None and known.train > 0:
        usual = 10_000 if known.train > 20_000 else 0.1
        return (
            f"data.val_size={config.val_size}: {config.name} has {known.train} training images and none would be left; "
            f"{usual} is usual"
        )
    if known.train == 0 and config.classes is None:
        of = "row of metadata.csv" if (Path(getattr(config, "path", "")) / METADATA).is_file() else "image"
        return f"data={config.name}: no {of} is of the split train, and there would be nothing to train on; give some"
    which = "training" if train < 1 else "test"
    return f"data={config.name}: of {known.train} images none would be left for the {which} split; give more images"


def _number(size: int | float | None, of: int) -> int:
    """Images of a size that is a number, a share, or None, which is a share of SHARE."""
    size = SHARE if size is None else size
    return round(size * of) if isinstance(size, float) and size < 1 else int(size)


def train_size(config: Data) -> int:
    """Images in the training split."""
    size = sizes(config).train
    return size if config.limit is None else min(size, config.limit)


def has_val(config: Data) -> bool:
    """Whether there will be a validation split."""
    return sizes(config).val > 0


def content_sum(config: Data) -> str | None:
    """A sum over what the data hold, wherever they lie; None for a set that is the same for everyone. Raises a
    UserError for data that cannot be read."""
    source = import_module(SETS.module(config.name))
    return source.content_sum(config) if hasattr(source, "content_sum") else None
