"""Interpolation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from aetrain.config.fields import setting
from aetrain.config.schema.task.base import OnImages
from aetrain.errors import UserError


@dataclass
class Interpolate(OnImages):
    """The way from one image to another, through the codes between theirs."""

    between: Optional[list[str]] = setting(
        "two or more images, by number in the split or by file, or class:<name> for the mean code of a class, as in "
        "[class:3,class:8]; null: pairs of the first images")  # fmt: skip
    pairs: int = setting("rows, where between=null", min=1, max=100)
    path: str = setting("straight, or along the arc between two codes (spherical, White 2016)",
                        choices=("linear", "spherical"))  # fmt: skip
    steps: int = setting("images from one to the next, both included", min=2, max=500)

    def __post_init__(self) -> None:
        if self.between is not None and len(self.between) == 1:
            raise UserError(f"between=[{self.between[0]}]: the way to where? Give two or more, as in between=[0,1]")
