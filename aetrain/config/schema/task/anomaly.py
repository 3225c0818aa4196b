"""Anomaly detection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Optional

from aetrain.config.fields import setting
from aetrain.config.schema.model.vae import VAE
from aetrain.config.schema.task.base import OnImages
from aetrain.errors import UserError

if TYPE_CHECKING:
    from aetrain.config.schema import Config


@dataclass
class Anomaly(OnImages):
    """Images unlike those of training: the classes that data.classes left out, or any others."""

    any_class: ClassVar[bool] = True

    score: Optional[str] = setting(
        "by which images are judged and sorted; all that the model has are written; null: elbo for VAEs, else recon",
        choices=("recon", "elbo", "nll", "latent"),
    )
    normal: Optional[list[str]] = setting("classes that are normal, by name; null: the run's data.classes")
    false_alarms: float = setting("share of the validation images above the threshold, at most", min=0, below=1)
    nll_samples: int = setting("importance samples per image, for the score nll", min=1)
    shown: int = setting("most and least normal images in the pictures, each", min=1, max=1000, unit="images")
    columns: int = setting("images in a row of the pictures", min=1, max=100)

    def check(self, config: Config) -> None:
        if self.score in ("elbo", "nll") and not isinstance(config.model, VAE):
            raise UserError(f"score={self.score}: model={config.model.name} has no ELBO; choose from: recon, latent")
