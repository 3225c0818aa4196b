"""Contractive autoencoder."""

from __future__ import annotations

from aetrain.config.fields import hparam, setting
from aetrain.config.schema.model.base import Deterministic
from aetrain.config.schema.net import Net
from aetrain.config.schema.schedule import scheduled


@scheduled
class Contractive(Deterministic):
    """Contractive autoencoder (Rifai et al. 2011): recon + contraction_weight · contraction."""

    contraction_weight: float = hparam("coefficient of contraction, the encoder's squared Jacobian norm", min=0)
    estimator: str = setting("of that norm; auto is exact for net=linear and mlp, else an estimate in training",
                             choices=("auto", "exact", "hutchinson"))  # fmt: skip
    probes: int = setting("random directions per image of Hutchinson's estimate", min=1,
                          only_if={"estimator": ("auto", "hutchinson")})  # fmt: skip

    def varying(self, net: Net) -> str | None:
        estimates = self.estimator == "hutchinson" or (self.estimator == "auto" and not net.is_dense)
        return f"model.estimator={self.estimator}" if estimates else None
