"""Importance-weighted autoencoder."""

from __future__ import annotations

from aetrain.config.fields import setting
from aetrain.config.schema.model.vae import VAE
from aetrain.config.schema.schedule import scheduled
from aetrain.errors import UserError


@scheduled
class IWAE(VAE):
    """Importance-weighted autoencoder (Burda et al. 2016): iwae, a bound on −log p(x) from k samples."""

    k: int = setting("samples of z per image; 1 is the VAE's bound with a sampled KL", min=1)

    def __post_init__(self) -> None:
        if self.z_in_evaluation != "sample":
            raise UserError(f"model.z_in_evaluation={self.z_in_evaluation}: model=iwae averages over samples of z")
