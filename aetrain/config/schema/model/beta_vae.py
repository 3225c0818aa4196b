"""β-VAE."""

from __future__ import annotations

from typing import Optional

from aetrain.config.fields import GIVEN, hparam
from aetrain.config.schema.model.vae import VAE
from aetrain.config.schema.schedule import scheduled


@scheduled
class BetaVAE(VAE):
    """β-VAE (Higgins et al. 2017): recon_weight · recon + beta · kl; with a capacity gamma · |mean kl − capacity|."""

    recon_weight: float = hparam("coefficient of recon; 0 leaves the KL alone", min=0)
    beta: float = hparam("coefficient of kl; recon and kl are both in nats per image, so that 1 is the VAE", min=0,
                         only_if={"capacity": (None,)})  # fmt: skip
    capacity: Optional[float] = hparam(
        "the mean KL to aim at, in place of beta · kl (Burgess et al. 2018); null: none", min=0, unit="nats"
    )
    gamma: float = hparam("coefficient of |mean kl − capacity|", min=0, only_if={"capacity": GIVEN})
