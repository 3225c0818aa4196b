"""Other images than a model was trained on, made to fit it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from aetrain.config.fields import names
from aetrain.config.schema.data import Data, Encoded
from aetrain.data.scan import METADATA, SUFFIXES

SHOWN = 5  # files that are named in a line


def fitted(images: Data, given: Collection[str], own: Data, shape: tuple[int, int, int]) -> Data:
    """Their configuration with what was not given as in training: size and channels of the model's images, and how
    they are cropped, filled and binarized. What cannot be decoded is left out. given: dotted keys that the user typed;
    own: the training's data; shape: C, H, W."""
    channels, height, width = shape
    known, values = names(type(images)) or (), dict[str, Any]()
    values["size"] = f"{height}x{width}" if isinstance(images, Encoded) else height
    values["channels"] = channels
    values["on_corrupt"] = "skip"
    values |= {key: getattr(own, key) for key in ("fit", "background", "binarization") if hasattr(own, key)}
    free = {key: value for key, value in values.items() if key in known and f"data.{key}" not in given}
    return dataclasses.replace(images, **free)


def not_images(folder: Path) -> str | None:
    """A line that names the files in a folder, or below it, that are no images by their name; None without any."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        kept = (f for f in sorted(files) if not f.startswith(".") and f != METADATA)
        found += [
            os.path.relpath(os.path.join(root, f), folder) for f in kept if Path(f).suffix.lower() not in SUFFIXES
        ]
    if not found:
        return None
    more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    return f"{folder}: no images, left out: {', '.join(found[:SHOWN])}{more}"
