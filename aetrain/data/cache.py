"""Decoded images on disk, in the user's cache folder: decoded once, mapped ever after.

A place there holds the images of one folder under one set of options:

  entry.json      what is there; written last, so that it stands for a whole
  images          (N, C, H, W), raw
  files.json      the files that it was made from: name, size, time
  damaged.txt     the files that could not be decoded, and why
  mean-…          mean images, of the splits that runs were made with
  plan.json, part, journal   of a decoding that has not come to its end, from which the next one goes on
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import math
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aetrain.data.home import default_root
from aetrain.errors import UserError
from aetrain.files import read_json

log = logging.getLogger(__name__)

FORMAT = 2
MEANS = "mean-*"
NAMES = ("entry.json", "images", "files.json", "damaged.txt", "plan.json", "part", "journal")


@dataclass(frozen=True)
class Entry:
    """What a place holds. damaged: (number, name, reason) of files whose images are blank."""

    stamp: str
    shape: tuple[int, int, int]
    dtype: str
    n: int
    damaged: list[tuple[int, str, str]]
    sum: str
    source: str
    scale: float  # see Facts


def place_of(source: Path, options: Any) -> Path:
    """The folder for the images of a source under some options."""
    key = hashlib.blake2b(json.dumps([FORMAT, str(source), options]).encode(), digest_size=8).hexdigest()
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in source.name)[:40]
    return default_root() / "decoded" / f"{name}-{key}"


def entry(place: Path) -> Entry | None:
    """What a place holds, or None for nothing whole."""
    try:
        found = read_json(place / "entry.json")
        held = Entry(**found | {"shape": tuple(found["shape"]), "damaged": [tuple(row) for row in found["damaged"]]})
        size = held.n * math.prod(held.shape) * np.dtype(held.dtype).itemsize
        return held if (place / "images").stat().st_size == size else None
    except (UserError, OSError, ValueError, TypeError, KeyError, OverflowError):
        return None


def mapped(place: Path, held: Entry) -> np.ndarray:
    """The images, (N, C, H, W): a private map, whose pages are read when they are asked for and never written back."""
    return np.memmap(place / "images", np.dtype(held.dtype), mode="c", shape=(held.n, *held.shape))


# --- aetrain cache


class Held(NamedTuple):
    """A place in the cache. source: the folder that it was made from, as far as is known; used: time of its files."""

    place: Path
    source: str
    bytes: int
    images: int | None  # None: a decoding that has not come to its end
    used: float


def show() -> list[Held]:
    """What the cache holds, largest first."""
    found = []
    for place in _places():
        held = entry(place)
        size, used = 0, 0.0
        for path in (*(place / name for name in NAMES), *place.glob(MEANS)):
            with suppress(OSError):
                about = os.lstat(path)
                size, used = size + about.st_blocks * 512, max(used, about.st_mtime)
        found.append(Held(place, held.source if held else "", size, held.n if held else None, used))
    return sorted(found, key=lambda held: -held.bytes)


def clear(places: Sequence[Path] | None = None) -> int:
    """Remove these places of the cache, or all; returns the bytes that are free. Only files of our own names go, and
    only where no process is decoding."""
    freed = 0
    for held in show():
        if places is not None and held.place not in places:
            continue
        try:
            with open(held.place / "lock", "ab") as file, suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                paths = (held.place / name for name in (*NAMES, "lock"))
                for path in (*paths, *held.place.glob(MEANS)):
                    path.unlink(missing_ok=True)
                held.place.rmdir()
                freed += held.bytes
        except OSError as error:
            raise UserError(f"{held.place}: cannot be removed ({error.strerror})") from error
    return freed


def _places() -> list[Path]:
    folder = default_root() / "decoded"
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    return []


def free_bytes() -> int:
    """Room in the cache's file system."""
    root = default_root()
    while not root.exists():
        root = root.parent
    return shutil.disk_usage(root).free
