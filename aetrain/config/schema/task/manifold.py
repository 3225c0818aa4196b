"""Two-dimensional codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from aetrain.config.fields import setting
from aetrain.config.schema.task.classes import OfClasses
from aetrain.errors import UserError

if TYPE_CHECKING:
    from aetrain.config.schema import Config


@dataclass
class Manifold(OfClasses):
    """For codes of two dimensions: what is decoded all over the plane, and where the images' codes lie in it."""

    classes: Optional[list[str]] = setting(
        "of a model that is given classes: those that are decoded, a plane each, by name, as in [3,8]; null: all"
    )
    steps: int = setting("decoded images each way", min=2, max=100)
    margin: float = setting("share of the prior, or of the codes, beyond the picture at each side", above=0, below=0.5)
    points: int = setting("codes in the scatter, at most", min=1)

    def check(self, config: Config) -> None:
        super().check(config)
        self.refuse_discrete(config, "see aetrain interpolate and sample")
        if config.model.latent_dim != 2:
            raise UserError(
                f"aetrain manifold: needs a code of 2 dimensions, this run's has {config.model.latent_dim}; train one "
                "with model.latent_dim=2, or view this one with aetrain traverse"
            )
