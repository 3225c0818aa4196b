"""New images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from aetrain.config.fields import setting
from aetrain.config.schema.task.classes import OfClasses
from aetrain.errors import UserError

if TYPE_CHECKING:
    from aetrain.config.schema import Config


@dataclass
class Sample(OfClasses):
    """New images: from the prior, from a density fitted to the codes, or variations of one image."""

    n: int = setting("how many", min=1, unit="images")
    around: Optional[str] = setting("an image, by its number in the split or its file, from whose posterior the codes "
                                    "are drawn; null: none, new images")  # fmt: skip
    density: Optional[str] = setting(
        "from which codes are drawn: the model's prior; a Gaussian or a mixture of ten fitted to the training codes "
        "(Ghosh et al. 2020); of model=vq_vae, at every position the code of a training image drawn at random; null: "
        "the prior, or of a model without one the positions or the Gaussian",
        choices=("prior", "gaussian", "mixture", "positions"))  # fmt: skip
    shown: int = setting("images in the picture, the first of them", min=1, max=1000)
    columns: int = setting("images in a row of the picture", min=1, max=100)
    array: bool = setting("all images also in samples.npy, uint8 (n, C, H, W), which data=array reads")
    files: bool = setting("every image also as a PNG file of its own")

    def check(self, config: Config) -> None:
        super().check(config)
        if self.density == "positions" and not config.model.is_discrete:
            raise UserError(
                f"density=positions: the code of model={config.model.name} has none, which takes model=vq_vae; give "
                "density=gaussian or mixture"
            )
