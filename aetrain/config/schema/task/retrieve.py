"""Retrieval."""

from __future__ import annotations

from dataclasses import dataclass

from aetrain.config.fields import setting
from aetrain.config.schema.task.base import OnImages


@dataclass
class Retrieve(OnImages):
    """The images whose codes are nearest to those of others, and how many are of the same class."""

    k: int = setting("neighbours of each image", min=1, max=1000)
    among: str = setting("of the run's images, those in which neighbours are looked for",
                         choices=("train", "val", "test"))  # fmt: skip
    shown: int = setting("images in the picture, the first of them, each with its neighbours", min=1, max=1000)
