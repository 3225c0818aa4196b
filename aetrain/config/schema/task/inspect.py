"""What a model has learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aetrain.config.fields import setting
from aetrain.config.schema.task.base import OnImages

if TYPE_CHECKING:
    from aetrain.config.schema import Config


@dataclass
class Inspect(OnImages):
    """What a model has learned: its posteriors, dimensions, units, filters, the gap between bound and likelihood, how
    its code and its reconstructions answer small changes."""

    n: int = setting("whose posteriors are drawn, the first of the split", min=1, max=24, unit="images")
    images: int = setting("over which dimensions, units and the gap are taken, the first of the split", min=2)
    nll_samples: int = setting("importance samples per image for the gap between ELBO and log p(x); 0: no gap", min=0)

    def check(self, config: Config) -> None:
        self.refuse_discrete(config, "see aetrain evaluate and reconstruct")
