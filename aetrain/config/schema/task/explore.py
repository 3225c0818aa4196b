"""The explorer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Optional

from aetrain.config.fields import setting
from aetrain.config.schema.task.base import OnImages
from aetrain.errors import UserError

if TYPE_CHECKING:
    from aetrain.config.schema import Config

NETS = ("linear", "mlp", "gated", "conv", "residual", "burgess")  # that the page's script can compute


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
        if reason := not_shown(config):
            raise UserError(f"aetrain explore: {reason}")


def not_shown(config: Config) -> str | None:
    """Why the page cannot show a run of this configuration; None if it can."""
    if config.model.is_discrete:
        return (
            f"moves single numbers of a code, and those of model={config.model.name} are vectors chosen from a "
            "codebook; see aetrain reconstruct, interpolate and sample"
        )
    if config.net.name not in NETS:
        return f"knows the networks {', '.join(NETS)}, not net={config.net.name}"
    return None
