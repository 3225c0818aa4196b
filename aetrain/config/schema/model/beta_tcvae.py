"""β-TCVAE."""

from __future__ import annotations

from aetrain.config.fields import hparam, setting
from aetrain.config.schema.model.vae import VAE
from aetrain.config.schema.schedule import scheduled
from aetrain.errors import UserError


@scheduled
class BetaTCVAE(VAE):
    """β-TCVAE (Chen et al. 2018): recon and the parts of the KL, alpha · mutual_information +
    beta · total_correlation + gamma · dimension_kl."""

    alpha: float = hparam("coefficient of mutual_information, of image and code", min=0)
    beta: float = hparam("coefficient of total_correlation, of the code's dimensions; 1, with 1 for the others, is the "
                         "VAE in expectation", min=0)  # fmt: skip
    gamma: float = hparam("coefficient of dimension_kl, of the dimensions, each for itself, from the prior", min=0)
    sampling: str = setting(
        "how q(z) is estimated from a batch: stratified, right in expectation, or weighted, as in the paper's "
        "experiments, which is too low and makes total_correlation too high",
        choices=("stratified", "weighted"),
    )

    def __post_init__(self) -> None:
        if self.z_in_evaluation != "sample":
            raise UserError(f"model.z_in_evaluation={self.z_in_evaluation}: model={self.name} needs draws of z")
