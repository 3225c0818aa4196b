"""The networks: what an encoder and a decoder are made of. See aetrain/nets/."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aetrain.config.fields import setting
from aetrain.errors import UserError

SMALLEST_SIDE = 8  # pixels, of an image that convolutions take
NORMS = ("none", "group")
INITS = ("default", "glorot", "orthogonal")
ACTIVATIONS = ("relu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid")


@dataclass
class Net:
    """is_dense: whether the first layer sees the whole image and all layers are linear ones with an activation between
    them. Tied weights, unit-norm columns and the closed form of the contraction need that."""

    name: str = setting("the networks' name")
    init: str = setting("of the weights: torch's default; with biases of 0, glorot (Glorot & Bengio 2010) or "
                        "orthogonal (Saxe et al. 2014)", default="default", choices=INITS)  # fmt: skip
    is_dense: ClassVar[bool] = False

    @property
    def is_spatial(self) -> bool:
        """Whether the encoder is convolutions up to the layer that gives the code, so that the code may keep their
        places: see aetrain/nets/spatial.py."""
        return False

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
class Gated(Net):
    """Linear layers, each times a sigmoid gate of its own (Dauphin et al. 2017)."""

    hidden: list[int] = setting("units of each hidden layer of the encoder; the decoder mirrors them", min=1)


@dataclass
class Convolutional(Net):
    """Networks whose layers see a part of the image."""

    def check(self, image_shape: tuple[int, int, int]) -> None:
        _, height, width = image_shape
        if min(height, width) < SMALLEST_SIDE:
            raise UserError(
                f"net={self.name}: convolutions need image sides of at least {SMALLEST_SIDE} pixels, these are "
                f"{height}x{width}; give net=mlp"
            )


@dataclass
class Conv(Convolutional):
    """Strided convolutions, then dense layers; the decoder mirrors them."""

    channels: list[int] = setting("channels of each convolution of the encoder; the decoder mirrors them", min=1)
    hidden: list[int] = setting("units of each dense layer between them and the code", min=1, may_be_empty=True)
    kernel: int = setting("side of the convolutions' kernels; at least net.stride", min=1, max=15, unit="pixels")
    stride: int = setting("by which each convolution divides the sides", min=1, max=8)
    norm: str = setting(
        "after each convolution: none, or over groups of channels (Wu & He 2018)", choices=NORMS,
        instead={"batch": "what one image becomes must not depend on the others beside it; give net.norm=group"},
    )  # fmt: skip
    activation: str = setting("of the hidden layers", choices=ACTIVATIONS)

    @property
    def is_spatial(self) -> bool:
        return not self.hidden

    def __post_init__(self) -> None:
        if self.kernel < self.stride:
            raise UserError(
                f"net.kernel={self.kernel}: with net.stride={self.stride} it would skip pixels; give at least "
                f"{self.stride}"
            )
        if self.stride == 1 and self.kernel % 2 == 0:
            raise UserError(f"net.kernel={self.kernel}: with net.stride=1 it must be odd, as {self.kernel + 1}")


@dataclass
class Residual(Convolutional):
    """Residual blocks with group normalisation at every resolution; nearest upsampling in the decoder."""

    channels: list[int] = setting("channels at each resolution, half the one before; the decoder mirrors them", min=1)
    blocks: int = setting("residual blocks at each resolution", min=1, max=100)
    activation: str = setting("of the hidden layers", choices=ACTIVATIONS)

    @property
    def is_spatial(self) -> bool:
        return True


@dataclass
class Burgess(Convolutional):
    """Of Burgess et al. 2018: 32-channel 4x4 convolutions of stride 2, four for 64x64 and three for 32x32, then two
    dense layers of 256."""
