"""The explorer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Optional

from aetrain.config.fields import setting
from aetrain.config.schema.task.base import OnImages
from aetrain.errors import UserError

if TYPE_CHECKING:
    from aetrain.config.schema import Config

NETS = ("linear", "mlp", "conv", "burgess")  # that the page's script can compute


@dataclass
class Explore(OnImages):
    """A page that shows what the model has learned, and runs it: one file, for any browser, without a network. Two
    models, or those of a sweep, side by side."""

    together: ClassVar[bool] = True

    run2: Optional[str] = setting("a second run beside the first, on the same images; null: none")
    n: int = setting("on the map, spread evenly over the split, as many as the size allows", min=1, unit="images")
    size: float = setting("of the file, which the images keep to; the networks take what they need, and 20 images are "
                          "always there", above=0, unit="MB")  # fmt: skip

    def check(self, config: Config) -> None:
        if config.net.name not in NETS:
            raise UserError(f"aetrain explore: knows the networks {', '.join(NETS)}, not net={config.net.name}")
        if config.net.name == "conv" and (config.net.kernel, config.net.stride, config.net.norm) != (4, 2, "none"):
            raise UserError("aetrain explore: knows net=conv with net.kernel=4 net.stride=2 net.norm=none alone")
        if len(config.model.code_shape) != 1:
            dims = "x".join(map(str, config.model.code_shape))
            raise UserError(f"aetrain explore: needs a code that is a list of numbers, this run's is {dims}")
