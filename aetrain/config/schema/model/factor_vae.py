"""FactorVAE."""

from __future__ import annotations

from aetrain.config.fields import hparam, setting
from aetrain.config.schema.model.vae import VAE
from aetrain.config.schema.schedule import scheduled
from aetrain.errors import UserError


@scheduled
class FactorVAE(VAE):
    """FactorVAE (Kim & Mnih 2018): recon + kl + gamma · log_density_ratio, the total correlation of the code as a
    discriminator estimates it, which learns beside the model."""

    gamma: float = hparam("coefficient of log_density_ratio, the estimate of the total correlation", min=0)
    discriminator: list[int] = setting("units of the discriminator's hidden layers", min=1)
    discriminator_lr: float = setting(
        "the discriminator's learning rate, which optimizer.schedule changes too", above=0
    )
    discriminator_betas: list[float] = setting(
        "decay rates of the two moments of the discriminator's gradient, with adam and adamw", min=0, below=1
    )

    def __post_init__(self) -> None:
        if self.z_in_evaluation != "sample":
            raise UserError(f"model.z_in_evaluation={self.z_in_evaluation}: model={self.name} needs draws of z")
        if len(self.discriminator_betas) != 2:
            raise UserError(
                f"model.discriminator_betas={self.discriminator_betas}: give two numbers, as in "
                "model.discriminator_betas=[0.5,0.9]"
            )
