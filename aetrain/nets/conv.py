"""net=conv: 4x4 convolutions of stride 2, then one linear layer."""

from __future__ import annotations

import math
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from aetrain.config.schema.net import Conv
from aetrain.nets.activations import ACTIVATIONS, at_least_float32


def _feature_shape(image_shape: tuple[int, int, int], channels: list[int]) -> tuple[int, int, int]:
    """Shape after one stride-2 layer per entry of channels, of an image padded to what they can halve."""
    _, height, width = image_shape
    factor = 2 ** len(channels)
    return channels[-1], -(-height // factor), -(-width // factor)


class ConvEncoder(nn.Module):
    """(B, C, H, W) -> (B, out): 4x4 convolutions of stride 2, then one linear layer. Sides that the layers cannot halve
    so often are padded with zeros, as every convolution's own border is."""

    def __init__(self, image_shape: tuple[int, int, int], channels: list[int], out: int, activation: str):
        super().__init__()
        sizes = [image_shape[0], *channels]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(sizes))
        self.head = nn.Linear(math.prod(_feature_shape(image_shape, channels)), out)
        self.activation = activation
        factor = 2 ** len(channels)
        self.padding = (0, -image_shape[2] % factor, 0, -image_shape[1] % factor)

    def forward(self, x: Tensor) -> Tensor:
        if any(self.padding):
            x = F.pad(x, self.padding)
        for conv in self.convs:
            x = ACTIVATIONS[self.activation](conv(x))
        return at_least_float32(self.head(x.flatten(1)))


class ConvDecoder(nn.Module):
    """(B, D) -> (B, C, H, W): one linear layer, then 4x4 transposed convolutions of stride 2, cropped where the encoder
    pads."""

    def __init__(self, latent_dim: int, channels: list[int], image_shape: tuple[int, int, int], activation: str):
        super().__init__()
        self.feature_shape = _feature_shape(image_shape, channels)
        self.head = nn.Linear(latent_dim, math.prod(self.feature_shape))
        sizes = [*reversed(channels), image_shape[0]]
        self.convs = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in pairwise(sizes))
        self.activation, self.size = activation, tuple(image_shape[1:])

    @property
    def output_bias(self) -> Tensor:
        return self.convs[-1].bias

    def forward(self, z: Tensor) -> Tensor:
        x = self.head(z).unflatten(1, self.feature_shape)
        for conv in self.convs:
            x = conv(ACTIVATIONS[self.activation](x))
        if x.shape[-2:] != self.size:
            x = x[..., : self.size[0], : self.size[1]]
        return at_least_float32(x)


def encoder(config: Conv, image_shape: tuple[int, int, int], out: int) -> ConvEncoder:
    return ConvEncoder(image_shape, config.channels, out, config.activation)


def decoder(config: Conv, latent_dim: int, image_shape: tuple[int, int, int], unit_norm: bool = False) -> ConvDecoder:
    """unit_norm: refused with the configuration."""
    return ConvDecoder(latent_dim, config.channels, image_shape, config.activation)
