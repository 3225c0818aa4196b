"""net=residual: residual blocks at every resolution (He et al. 2016, with the activations before the convolutions)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from aetrain.config.schema.net import Residual
from aetrain.nets.activations import ACTIVATIONS, at_least_float32
from aetrain.nets.norm import norm


class Block(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))), 3x3 convolutions: (B, C, H, W) in the same form."""

    def __init__(self, channels: int, activation: str):
        super().__init__()
        self.norms = nn.ModuleList(norm("group", channels) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for normalised, conv in zip(self.norms, self.convs, strict=True):
            h = conv(ACTIVATIONS[self.activation](normalised(h)))
        return x + h


class ResidualEncoder(nn.Module):
    """(B, C, H, W) -> (B, out): for every entry of channels a 3x3 convolution of stride 2 and residual blocks, then one
    linear layer. Sides that cannot be halved so often are padded with zeros."""

    def __init__(self, image_shape: tuple[int, int, int], config: Residual, out: int):
        super().__init__()
        sizes = [image_shape[0], *config.channels]
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(sizes))
        self.levels = nn.ModuleList(
            nn.Sequential(*(Block(channels, config.activation) for _ in range(config.blocks)))
            for channels in config.channels
        )
        self.norm = norm("group", config.channels[-1])
        self.feature_shape = _feature_shape(image_shape, config.channels)
        self.head = nn.Linear(math.prod(self.feature_shape), out)
        self.activation = config.activation
        factor = 2 ** len(config.channels)
        self.padding = (0, -image_shape[2] % factor, 0, -image_shape[1] % factor)

    def forward(self, x: Tensor) -> Tensor:
        if any(self.padding):
            x = F.pad(x, self.padding)
        for down, level in zip(self.downs, self.levels, strict=True):
            x = level(down(x))
        x = ACTIVATIONS[self.activation](self.norm(x))
        return at_least_float32(self.head(x.flatten(1)))


class ResidualDecoder(nn.Module):
    """(B, D) -> (B, C, H, W): one linear layer, then for every entry of channels, the last first, residual blocks and
    pixels doubled, with a 3x3 convolution after each (transposed ones leave a chequerboard: Odena et al. 2016)."""

    def __init__(self, latent_dim: int, config: Residual, image_shape: tuple[int, int, int]):
        super().__init__()
        self.feature_shape = _feature_shape(image_shape, config.channels)
        self.head = nn.Linear(latent_dim, math.prod(self.feature_shape))
        channels = list(reversed(config.channels))
        self.levels = nn.ModuleList(
            nn.Sequential(*(Block(each, config.activation) for _ in range(config.blocks))) for each in channels
        )
        self.ups = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise([*channels, channels[-1]]))
        self.norm = norm("group", channels[-1])
        self.last = nn.Conv2d(channels[-1], image_shape[0], 3, padding=1)
        self.activation, self.size = config.activation, tuple(image_shape[1:])

    @property
    def output_bias(self) -> Tensor:
        return self.last.bias

    def forward(self, z: Tensor) -> Tensor:
        x = self.head(z).unflatten(1, self.feature_shape)
        for level, up in zip(self.levels, self.ups, strict=True):
            x = up(doubled(level(x)))
        x = self.last(ACTIVATIONS[self.activation](self.norm(x)))
        if x.shape[-2:] != self.size:
            x = x[..., : self.size[0], : self.size[1]]
        return at_least_float32(x)


def doubled(x: Tensor) -> Tensor:
    """Every pixel as a square of four: (B, C, H, W) -> (B, C, 2H, 2W). Its backward pass is a sum over dimensions,
    the same every time on a GPU too."""
    b, c, h, w = x.shape
    return x[:, :, :, None, :, None].expand(b, c, h, 2, w, 2).reshape(b, c, 2 * h, 2 * w)


def _feature_shape(image_shape: tuple[int, int, int], channels: list[int]) -> tuple[int, int, int]:
    _, height, width = image_shape
    factor = 2 ** len(channels)
    return channels[-1], -(-height // factor), -(-width // factor)


def encoder(config: Residual, image_shape: tuple[int, int, int], out: int) -> ResidualEncoder:
    return ResidualEncoder(image_shape, config, out)


def decoder(config: Residual, latent_dim: int, image_shape: tuple[int, int, int],
            unit_norm: bool = False) -> ResidualDecoder:  # fmt: skip
    """unit_norm: refused with the configuration."""
    return ResidualDecoder(latent_dim, config, image_shape)
