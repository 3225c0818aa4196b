"""What is known of a data set without opening it. Imports no torch: a wrong size is answered at once."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from aetrain.config.schema.data import Data
from aetrain.config.tables import SETS


@dataclass(frozen=True)
class Card:
    """image_shape: C, H, W. train, test: images of each split, before any are held out or left out."""

    image_shape: tuple[int, int, int]
    train: int
    test: int
    n_classes: int
    factors: tuple[str, ...] = ()  # names of the factors that the images were made from, where they are known


def card(config: Data) -> Card:
    """The card of the data set that a configuration names. Each source's module has a `card(config)`."""
    return import_module(SETS.module(config.name)).card(config)


def train_size(config: Data) -> int:
    """Images in the training split."""
    size = card(config).train - config.val_size
    return size if config.limit is None else min(size, config.limit)
