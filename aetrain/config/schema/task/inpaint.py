"""Inpainting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from aetrain.config.fields import setting
from aetrain.config.schema.task.base import OnImages

PARTS = ("left", "right", "top", "bottom", "center", "random")


@dataclass
class Inpaint(OnImages):
    """Parts of images that are missing, filled in by decoding again and again with the known pixels held."""

    mask: str = setting(f"what is missing: {', '.join(PARTS)}, or an image file of the model's size, white there")
    share: Optional[float] = setting("of the pixels, that is missing; null: what is white in a mask file, else 0.25",
                                     above=0, below=1)  # fmt: skip
    steps: int = setting("how often the image is encoded, decoded, and its known pixels put back", min=1)
    z: str = setting("what is decoded: the mean of the posterior, or a draw from it", choices=("mean", "sample"))
    n: Optional[int] = setting("how many, from the first on; null: all", min=1, unit="images")
    shown: int = setting("images in the picture, the first of them", min=1, max=1000)
    columns: int = setting("images in a row of the picture", min=1, max=100)
    files: bool = setting("every image that was filled in also as a PNG file of its own")
