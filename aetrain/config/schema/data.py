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
    limit: Optional[int] = setting("images kept of each split, for quick runs; null: all", min=1,
                                   unit="images")  # fmt: skip
    classes: Optional[list[str]] = setting("the classes to keep, by name; null: all")
    binarization: str = setting("of the pixels: at 1/2, drawn once, or drawn again for every batch",
                                choices=("none", "threshold", "static", "dynamic"))  # fmt: skip
    flip: bool = setting("mirror training images left to right, half of them, chosen again for every batch")
    shift: int = setting("the most that training images are moved each way, drawn again for every batch; their "
                         "borders are repeated", min=0, unit="pixels")  # fmt: skip
    resident: Any = setting("images held on the training device, or read while training: true, false, or auto, which "
                            "reads those that do not fit", default="auto")  # fmt: skip

    def __post_init__(self) -> None:
        _check_number("data.val_size", self.val_size)
        if self.resident != "auto" and not isinstance(self.resident, bool):
            raise UserError(f"data.resident={self.resident}: choose from: auto, true, false")


def _check_number(key: str, value: Any) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise UserError(f"{key}={value}: give a number of images, or a share below 1, as in {key}=0.1")


@dataclass
class MNIST(Data):
    """MNIST, complete, from inside the package: no network. 28x28 grey images in [0, 1]."""

    root: Optional[str] = setting("folder for the unpacked files; null: the user's cache folder")


@dataclass
class Vision(Data):
    """A set that torchvision downloads and checks, in its own layout."""

    root: Optional[str] = setting("folder for its files; null: the user's cache folder")


@dataclass
class CelebA(Vision):
    """202,599 faces, cropped and reduced to 64x64, in colour; torchvision finds and checks its files."""


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
class Digits(Unsplit):
    """1,797 real handwritten digits of 8x8 pixels, inside scikit-learn: a whole experiment in seconds."""


@dataclass
class Patches(Data):
    """Patches of two natural photographs, inside scikit-learn, cut from different parts of them for each split."""

    patches: int = setting("patches of the training split; a tenth as many each for validation and test", min=20)
    size: int = setting("side of a patch", min=2, max=48, unit="pixels")
    channels: int = setting("1: grey, 3: colour", choices=(1, 3))
    contrast: str = setting("raw; each patch with mean 1/2 and standard deviation 1/6; or the photographs with a flat "
                            "spectrum, about 1/2", choices=("raw", "normalized", "whitened"))  # fmt: skip


@dataclass
class Points(Unsplit):
    """Points of the plane in two classes, scaled into the unit square: images of one row and two columns."""

    points: int = setting("all splits together", min=20)
    noise: float = setting("standard deviation around the curve, of its radius", min=0, max=0.3)


@dataclass
class Shapes(Unsplit):
    """Images computed from factors on the training device, never stored: the grid of dSprites."""

    shapes: list[str] = setting("the shapes; they are the labels, too", choices=("square", "ellipse", "heart"))
    scales: int = setting("different sizes", min=1, max=100)
    orientations: int = setting("different angles", min=1, max=360)
    columns: int = setting("different places from left to right", min=1, max=256)
    rows: int = setting("different places from top to bottom", min=1, max=256)
    colors: int = setting("different hues; 1: white, images of one channel", min=1, max=100)
    size: int = setting("side of an image", min=16, max=512, unit="pixels")


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
class Encoded(Own):
    """The keys of images that are decoded."""

    size: Optional[str] = setting("a side, or height x width, as in 48x64; null: the images' own, if all agree",
                                  unit="pixels")  # fmt: skip
    fit: str = setting("an image of another shape is cropped at its centre, padded, or stretched",
                       choices=("crop", "pad", "stretch"))  # fmt: skip
    channels: Optional[int] = setting("1: grey, 3: colour; null: as the images are", choices=(1, 3))
    background: str = setting("under transparent pixels and around padded images: a name, or six hexadecimal digits")
    on_corrupt: str = setting("images that cannot be decoded end the run, or are left out", choices=("refuse", "skip"))
    follow_links: bool = setting("whether links out of the folder are followed")


@dataclass
class Folder(Encoded):
    """A folder of images: flat, one folder per class, train/val/test folders, or with a metadata.csv."""

    label: Optional[str] = setting("the column of metadata.csv that is the label; null: label, or the only one")


@dataclass
class Parquet(Encoded):
    """Images in a column of a Parquet file, or of a folder of them, as the sets of Hugging Face come."""

    image: Optional[str] = setting("the column of the images; null: the only one there is, or image")
    label: Optional[str] = setting("the column of the labels; null: label, or the only one with names of classes")
