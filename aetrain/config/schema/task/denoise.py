"""Denoising."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from aetrain.config.fields import setting
from aetrain.config.schema.model.dae import CORRUPTIONS, LEVEL
from aetrain.config.schema.task.base import OnImages
from aetrain.config.schema.task.inpaint import PARTS
from aetrain.errors import UserError


@dataclass
class Denoise(OnImages):
    """Images that are corrupted, encoded and decoded again."""

    corruption: Optional[str] = setting("what is done to the images; null: the run's model.corruption, else masking",
                                        choices=CORRUPTIONS)  # fmt: skip
    level: Optional[float] = setting(
        f"{LEVEL}; null: the run's model.corruption_level, else 0.3; none with a mask file", min=0
    )
    mask: Optional[str] = setting(
        f"set to 0 instead: {', '.join(PARTS[:-1])}, of which level is the share, or what is white in an image file of "
        "the model's size")  # fmt: skip
    n: Optional[int] = setting("how many, from the first on; null: all", min=1, unit="images")
    shown: int = setting("images in the picture, the first of them", min=1, max=1000)
    columns: int = setting("images in a row of the picture", min=1, max=100)
    files: bool = setting("every restored image also as a PNG file of its own")

    def __post_init__(self) -> None:
        if self.mask is not None and self.corruption is not None:
            raise UserError("mask and corruption: one or the other")
        if self.level is not None and self.level > 1 and self.corruption != "gaussian":
            raise UserError(f"level={self.level}: a share of the pixels is at most 1; corruption=gaussian takes more")
