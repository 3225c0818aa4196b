"""Wasserstein autoencoder."""

from __future__ import annotations

from aetrain.config.fields import hparam, setting
from aetrain.config.schema.model.base import Model
from aetrain.config.schema.net import Net
from aetrain.config.schema.schedule import scheduled


@scheduled
class WAE(Model):
    """Wasserstein autoencoder (Tolstikhin et al. 2018): recon + mmd_weight · mmd, of all codes and the prior."""

    encoder: str = setting("whether the code is a function of the image or a draw of a Gaussian",
                           choices=("deterministic", "gaussian"))  # fmt: skip
    mmd_weight: float = hparam("coefficient of mmd, which has no unit", min=0)

    def varying(self, net: Net) -> str | None:
        return f"model={self.name}"
