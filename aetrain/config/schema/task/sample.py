"""New images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from aetrain.config.fields import setting
from aetrain.config.schema.task.classes import OfClasses


@dataclass
class Sample(OfClasses):
    """New images: from the prior, from a density fitted to the codes, or variations of one image."""

    n: int = setting("how many", min=1, unit="images")
    around: Optional[str] = setting("an image, by its number in the split or its file, from whose posterior the codes "
                                    "are drawn; null: none, new images")  # fmt: skip
    density: Optional[str] = setting(
        "from which codes are drawn: the model's prior, or a Gaussian or a mixture of ten fitted to the training codes "
        "(Ghosh et al. 2020); null: the prior, and the Gaussian for a model without one",
        choices=("prior", "gaussian", "mixture"))  # fmt: skip
    shown: int = setting("images in the picture, the first of them", min=1, max=1000)
    columns: int = setting("images in a row of the picture", min=1, max=100)
    array: bool = setting("all images also in samples.npy, uint8 (n, C, H, W), which data=array reads")
    files: bool = setting("every image also as a PNG file of its own")
