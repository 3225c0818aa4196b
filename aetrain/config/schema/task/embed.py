"""Codes of images."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Optional

from aetrain.config.fields import setting
from aetrain.config.schema.task.base import OnImages
from aetrain.errors import UserError

if TYPE_CHECKING:
    from aetrain.config.schema import Config


@dataclass
class Embed(OnImages):
    """The codes of images as a table, as a picture, and for TensorBoard's projector."""

    n: Optional[int] = setting("how many, from the first on; null: all", min=1, unit="images")
    format: str = setting("of the table", choices=("npz", "csv", "parquet"))
    z: str = setting("the code: the mean of the posterior, or a draw from it", choices=("mean", "sample"))
    projector: bool = setting("files for TensorBoard's projector, of the first 5,000 images")

    def check(self, config: Config) -> None:
        if self.format == "parquet" and find_spec("pyarrow") is None:
            raise UserError("format=parquet needs pyarrow: pip install 'aetrain[data]', or take format=csv")
