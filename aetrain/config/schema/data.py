"""The data sets: a dataclass each, listed in aetrain/config/tables.py."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Optional

from omegaconf import MISSING

from aetrain.config.fields import setting
from aetrain.errors import UserError


@dataclass
class Data:
    """The keys of every data set."""

    name: str = setting("the data set's name")
    val_size: Any = setting(  # a number or null; OmegaConf cannot merge a Union deep inside a tree
        "held out of the training split: a number, or a share below 1; 0: no validation, no best.pt; null: the data's "
        "own split, else a tenth", default=None, min=0, unit="images")  # fmt: skip
    limit: Optional[int] = setting("at most so many images in each split, for quick runs; null: all", min=1,
                                   unit="images")  # fmt: skip
    classes: Optional[list[str]] = setting("the classes to keep, by name; null: all")
    binarization: str = setting("of the pixels: at 1/2, drawn once, or drawn anew for every batch",
                                choices=("none", "threshold", "static", "dynamic"))  # fmt: skip

    def __post_init__(self) -> None:
        _check_number("data.val_size", self.val_size)


def _check_number(key: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise UserError(f"{key}={value}: give a number of images, or a share below 1, as in {key}=0.1")


@dataclass
class MNIST(Data):
    """MNIST, complete, from inside the package: no network. 28x28 grey images in [0, 1]."""

    root: Optional[str] = setting("folder for the unpacked files; null: the user's cache folder")


@dataclass
class Unsplit(Data):
    """The keys of data that may come without a test split of their own."""

    test_size: Any = setting(
        "held out for the test: a number, or a share below 1; null: the data's own split, else a tenth",
        default=None, above=0, unit="images")  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_number("data.test_size", self.test_size)


@dataclass
class Own(Unsplit):
    """The keys of the user's own files. Their path is kept absolute: a run can be continued from anywhere."""

    path: str = setting("where the files are")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.path != MISSING:
            self.path = os.path.abspath(os.path.expanduser(self.path))


@dataclass
class Array(Own):
    """Images in a .npz or .npy file: (N, H, W), (N, H, W, C) or (N, C, H, W), uint8 or floats in [0, 1]."""

    keys: Optional[list[str]] = setting(
        "what the arrays of a .npz are called, as in [images:x,labels:y] or [train_images:x,test_images:z]; null: "
        "found by the usual names")  # fmt: skip


@dataclass
class Folder(Own):
    """A folder of images: flat, one folder per class, train/val/test folders, or with a metadata.csv."""

    size: Optional[str] = setting("a side, or height x width, as in 48x64; null: the images' own, if all agree",
                                  unit="pixels")  # fmt: skip
    fit: str = setting("an image of another shape is cropped at its centre, padded, or stretched",
                       choices=("crop", "pad", "stretch"))  # fmt: skip
    channels: Optional[int] = setting("1: grey, 3: colour; null: as the files are", choices=(1, 3))
    background: str = setting("under transparent pixels and around padded images: a name, or six hexadecimal digits")
    label: Optional[str] = setting("the column of metadata.csv that is the label; null: label, or the only one")
    on_corrupt: str = setting("files that cannot be decoded end the run, or are left out", choices=("refuse", "skip"))
    follow_links: bool = setting("whether links out of the folder are followed")
