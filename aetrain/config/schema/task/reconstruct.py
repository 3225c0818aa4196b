"""Reconstruction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from aetrain.config.fields import setting
from aetrain.config.schema.task.classes import OfClasses


@dataclass
class Reconstruct(OfClasses):
    """Images beside their reconstructions, with the error of each."""

    n: Optional[int] = setting("how many, from the first on; null: all", min=1, unit="images")
    shown: int = setting("images in the picture, the first of them", min=1, max=1000)
    columns: int = setting("images in a row of the picture", min=1, max=100)
    z: str = setting("what is decoded: the mean of the posterior, or a draw from it", choices=("mean", "sample"))
    files: bool = setting("every reconstruction also as a PNG file of its own")
