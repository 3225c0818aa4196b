"""What the data decide about a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Facts:
    """They travel in the checkpoint, so that a model can be rebuilt from its run folder alone."""

    image_shape: tuple[int, int, int]  # C, H, W
    train_size: int  # images
    mean_image: Tensor  # (C, H, W) in [0, 1], over the training split
    n_classes: int
    binary: bool = False  # every pixel 0 or 1: a Bernoulli likelihood is then one of the data
    factors: tuple[str, ...] = ()  # names, where the images were made from factors
    scale: float = 255.0  # a pixel's value in the files that is 1 here: 65535 of 16-bit images, 1 of floats

    def plain(self) -> dict[str, Any]:
        """As plain containers and a tensor."""
        return vars(self) | {"image_shape": list(self.image_shape), "factors": list(self.factors)}

    @classmethod
    def of(cls, plain: Any) -> Facts:
        """From `plain()`. Raises ValueError for anything else."""
        import torch

        try:
            plain = {"scale": 255.0} | plain  # older checkpoints are of 8-bit images, or do not say
            shape = tuple(plain["image_shape"])
            mean, numbers = plain["mean_image"], (*shape, plain["train_size"], plain["n_classes"])
            sound = (
                plain.keys() == cls.__dataclass_fields__.keys()
                and len(shape) == 3
                and all(type(n) is int and 0 <= n < 2**40 for n in numbers)
                and 0 < shape[0] * shape[1] * shape[2] <= 2**26
                and isinstance(mean, torch.Tensor)
                and tuple(mean.shape) == shape
                and type(plain["binary"]) is bool
                and type(plain["scale"]) is float
                and 0 < plain["scale"] < 2**40
                and all(isinstance(name, str) for name in plain["factors"])
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError("they lack what a model needs") from error
        if not sound:
            raise ValueError("they are not those of images")
        return cls(**plain | {"image_shape": shape, "factors": tuple(plain["factors"])})
