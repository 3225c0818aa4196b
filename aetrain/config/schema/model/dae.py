"""Denoising autoencoder."""

from __future__ import annotations

from aetrain.config.fields import hparam, setting
from aetrain.config.schema.model.base import Deterministic
from aetrain.config.schema.net import Net
from aetrain.config.schema.schedule import scheduled
from aetrain.errors import UserError

CORRUPTIONS = ("masking", "independent_masking", "occlusion", "salt_and_pepper", "gaussian")
LEVEL = ("share of the pixels set to 0 (masking, independent_masking, occlusion), or to 0 or 1 (salt_and_pepper); "
         "standard deviation (gaussian)")  # fmt: skip


@scheduled
class DAE(Deterministic):
    """Denoising autoencoder (Vincent et al. 2008): recon of the clean image from a corrupted one."""

    corruption: str = setting("what is done to the image that is encoded", choices=CORRUPTIONS)
    corruption_level: float = hparam(LEVEL, min=0)

    def __post_init__(self) -> None:
        if self.corruption != "gaussian" and self.corruption_level > 1:
            raise UserError(
                f"model.corruption_level={self.corruption_level}: with model.corruption={self.corruption} it is "
                "a share of the pixels, at most 1"
            )

    def varying(self, net: Net) -> str | None:
        return f"model={self.name}"
