"""net=conv: strided convolutions, then dense layers. net=burgess is one of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from aetrain.config.schema.net import Conv
from aetrain.nets.activations import ACTIVATIONS, at_least_float32
from aetrain.nets.norm import norm


@dataclass(frozen=True)
class Layers:
    """channels: of each convolution; hidden: units of each dense layer between the last of them and the code."""

    channels: Sequence[int]
    hidden: Sequence[int]
    kernel: int
    stride: int
    norm: str
    activation: str

    @property
    def factor(self) -> int:
        """By which all convolutions divide the sides."""
        return self.stride ** len(self.channels)

    @property
    def padding(self) -> int:
        """Of each convolution, at every border: sides are then divided by the stride exactly."""
        return (self.kernel - self.stride + 1) // 2

    def feature_shape(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Of the last convolution's output, for an image that is padded to sides that they can divide."""
        _, height, width = image_shape
        return self.channels[-1], -(-height // self.factor), -(-width // self.factor)


class ConvEncoder(nn.Module):
    """(B, C, H, W) -> (B, out): strided convolutions, then dense layers. Sides that the layers cannot divide so often
    are padded with zeros, as every convolution's own border is."""

    def __init__(self, image_shape: tuple[int, int, int], layers: Layers, out: int):
        super().__init__()
        sizes = [image_shape[0], *layers.channels]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, layers.kernel, layers.stride, layers.padding) for a, b in pairwise(sizes)
        )
        self.norms = nn.ModuleList(norm(layers.norm, channels) for channels in layers.channels)
        self.feature_shape = layers.feature_shape(image_shape)
        *hidden, last = pairwise([math.prod(self.feature_shape), *layers.hidden, out])
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in hidden)
        self.head = nn.Linear(*last)
        self.activation = layers.activation
        self.padding = (0, -image_shape[2] % layers.factor, 0, -image_shape[1] % layers.factor)

    def forward(self, x: Tensor) -> Tensor:
        if any(self.padding):
            x = F.pad(x, self.padding)
        for conv, normalised in zip(self.convs, self.norms, strict=True):
            x = ACTIVATIONS[self.activation](normalised(conv(x)))
        x = x.flatten(1)
        for layer in self.hidden:
            x = ACTIVATIONS[self.activation](layer(x))
        return at_least_float32(self.head(x))


class ConvDecoder(nn.Module):
    """(B, D) -> (B, C, H, W): the encoder's layers in reverse, transposed convolutions among them, cropped where the
    encoder pads. Normalised is what the encoder normalises: everything between dense layers and image."""

    def __init__(self, latent_dim: int, layers: Layers, image_shape: tuple[int, int, int]):
        super().__init__()
        self.feature_shape = layers.feature_shape(image_shape)
        *hidden, last = pairwise([latent_dim, *reversed(layers.hidden), math.prod(self.feature_shape)])
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in hidden)
        self.head = nn.Linear(*last)
        sizes = [*reversed(layers.channels), image_shape[0]]
        more = layers.stride - layers.kernel + 2 * layers.padding  # 1 where kernel − stride is odd
        self.convs = nn.ModuleList(
            nn.ConvTranspose2d(a, b, layers.kernel, layers.stride, layers.padding, more) for a, b in pairwise(sizes)
        )
        self.norms = nn.ModuleList(norm(layers.norm, channels) for channels in reversed(layers.channels))
        self.activation, self.size = layers.activation, tuple(image_shape[1:])

    @property
    def output_bias(self) -> Tensor:
        return self.convs[-1].bias

    def forward(self, z: Tensor) -> Tensor:
        for layer in self.hidden:
            z = ACTIVATIONS[self.activation](layer(z))
        x = self.head(z).unflatten(1, self.feature_shape)
        for conv, normalised in zip(self.convs, self.norms, strict=True):
            x = conv(ACTIVATIONS[self.activation](normalised(x)))
        if x.shape[-2:] != self.size:
            x = x[..., : self.size[0], : self.size[1]]
        return at_least_float32(x)


def layers(config: Conv) -> Layers:
    return Layers(config.channels, config.hidden, config.kernel, config.stride, config.norm, config.activation)


def encoder(config: Conv, image_shape: tuple[int, int, int], out: int) -> ConvEncoder:
    return ConvEncoder(image_shape, layers(config), out)


def decoder(config: Conv, latent_dim: int, image_shape: tuple[int, int, int], unit_norm: bool = False) -> ConvDecoder:
    """unit_norm: refused with the configuration."""
    return ConvDecoder(latent_dim, layers(config), image_shape)
