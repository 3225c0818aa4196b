"""VQ-VAE."""

from __future__ import annotations

from typing import ClassVar, Optional

from aetrain.config.fields import hparam, setting
from aetrain.config.schema.model.base import LIKELIHOODS, Model
from aetrain.config.schema.net import Net
from aetrain.config.schema.schedule import scheduled
from aetrain.errors import UserError


@scheduled
class VQVAE(Model):
    """VQ-VAE (van den Oord et al. 2017): recon + commitment_weight · commitment (+ codebook, with
    model.codebook=loss)."""

    is_discrete: ClassVar[bool] = True

    latent_dim: int = setting("numbers of each vector of the codebook", min=1)
    likelihood: str = setting("how recon compares an image with its decoding, in nats", choices=LIKELIHOODS[1:])
    codebook: str = setting("how it is learned: moving averages of the encoder's outputs, or a loss of its own",
                            choices=("ema", "loss"))  # fmt: skip
    codebook_size: int = setting("vectors in the codebook", min=2, max=1 << 20)
    positions: Optional[int] = setting(
        "vectors that are an image's code; null: one at every place of the last convolution's features, of net=conv "
        "without net.hidden, or net=residual", min=1)  # fmt: skip
    commitment_weight: float = hparam("coefficient of commitment, the squared distance of the encoder's outputs from "
                                      "their codes", min=0)  # fmt: skip
    codebook_decay: float = hparam("share of the moving averages that is kept at every step: of how often a code is "
                                   "used, and with model.codebook=ema of the codes", min=0, below=1)  # fmt: skip
    restart_below: float = hparam("usage below which a code is moved to one of the encoder's outputs; 1 is an even use "
                                  "of all codes, 0: never", min=0, below=1)  # fmt: skip

    def check(self, net: Net) -> None:
        if self.positions is None and not net.is_spatial:
            raise UserError(
                f"model.positions=null: net={net.name} has no grid of features here, which takes net=residual, or "
                "net=conv with net.hidden=[]; give a number, as in model.positions=16"
            )

    def varying(self, net: Net) -> str | None:
        return f"model={self.name}"
