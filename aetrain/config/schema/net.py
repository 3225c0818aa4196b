"""The networks: what an encoder and a decoder are made of. See aetrain/nets/."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aetrain.config.fields import setting
from aetrain.errors import UserError

SMALLEST_SIDE = 8  # pixels, of an image that convolutions take
ACTIVATIONS = ("relu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid")


@dataclass
class Net:
    """is_dense: whether the first layer sees the whole image and all layers are linear ones with an activation between
    them. Tied weights, unit-norm columns and the closed form of the contraction need that."""

    name: str = setting("the networks' name")
    is_dense: ClassVar[bool] = False

    def check(self, image_shape: tuple[int, int, int]) -> None:
        """Raise a UserError where these networks cannot take images of (C, H, W)."""


@dataclass
class Linear(Net):
    """One linear layer each way."""

    is_dense: ClassVar[bool] = True


@dataclass
class MLP(Net):
    """Linear layers with an activation between them."""

    is_dense: ClassVar[bool] = True

    hidden: list[int] = setting("units of each hidden layer of the encoder; the decoder mirrors them", min=1)
    activation: str = setting("of the hidden layers", choices=ACTIVATIONS)


@dataclass
class Conv(Net):
    """4x4 convolutions of stride 2, then one linear layer; the decoder mirrors them."""

    channels: list[int] = setting("channels of each stride-2 layer of the encoder; the decoder mirrors them", min=1)
    activation: str = setting("of the hidden layers", choices=ACTIVATIONS)

    def check(self, image_shape: tuple[int, int, int]) -> None:
        _, height, width = image_shape
        if min(height, width) < SMALLEST_SIDE:
            raise UserError(
                f"net={self.name}: convolutions need image sides of at least {SMALLEST_SIDE} pixels, these are "
                f"{height}x{width}; give net=mlp"
            )
