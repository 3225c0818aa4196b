"""The data sets: a dataclass each, listed in aetrain/config/tables.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from aetrain.config.fields import setting


@dataclass
class Data:
    """The keys of every data set."""

    name: str = setting("the data set's name")
    val_size: int = setting("images held out of the training split; 0: no validation, no best.pt", min=0, unit="images")
    limit: Optional[int] = setting("at most so many images in each split, for quick runs; null: all", min=1,
                                   unit="images")  # fmt: skip
    binarization: str = setting("of the pixels: at 1/2, drawn once, or drawn anew for every batch",
                                choices=("none", "threshold", "static", "dynamic"))  # fmt: skip


@dataclass
class MNIST(Data):
    """MNIST, complete, from inside the package: no network. 28x28 grey images in [0, 1]."""

    root: Optional[str] = setting("folder for the unpacked files; null: the user's cache folder")
