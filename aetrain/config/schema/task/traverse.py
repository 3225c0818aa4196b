"""Traversals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from aetrain.config.fields import setting
from aetrain.config.schema.task.classes import OfClasses

if TYPE_CHECKING:
    from aetrain.config.schema import Config


@dataclass
class Traverse(OfClasses):
    """What each dimension of the code stands for: one image, its dimensions moved one by one."""

    of: str = setting("the image, by its number in the split or its file")
    dims: Optional[int] = setting("how many dimensions, those with the highest KL or variance; null: all", min=1)
    order: Optional[str] = setting("by falling KL, falling variance of the codes, or number; null: by KL where there "
                                   "is a posterior, else by variance", choices=("kl", "variance", "index"))  # fmt: skip
    range: Optional[str] = setting(
        "from -width to width standard deviations of the prior, or of the codes around their mean; null: of the prior "
        "where there is one", choices=("prior", "posterior"))  # fmt: skip
    width: float = setting("of the range, to either side", above=0, max=100, unit="standard deviations")
    steps: int = setting("images in a row", min=2, max=200)

    def check(self, config: Config) -> None:
        super().check(config)
        self.refuse_discrete(config, "see aetrain interpolate and sample")
