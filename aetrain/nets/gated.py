"""net=gated: linear layers, each times a gate."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from aetrain.config.schema.net import Gated
from aetrain.nets.activations import at_least_float32


class GatedLinear(nn.Module):
    """(W x + b) · sigmoid(V x + c) (Dauphin et al. 2017, eq. 1): (B, in) -> (B, out)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear, self.gate = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) * torch.sigmoid(self.gate(x))


class GatedEncoder(nn.Module):
    """(B, C, H, W) -> (B, out): gated layers, and a linear one."""

    def __init__(self, image_shape: tuple[int, int, int], hidden: list[int], out: int):
        super().__init__()
        sizes = [math.prod(image_shape), *hidden]
        self.layers = nn.Sequential(*(GatedLinear(a, b) for a, b in pairwise(sizes)))
        self.head = nn.Linear(sizes[-1], out)

    def forward(self, x: Tensor) -> Tensor:
        return at_least_float32(self.head(self.layers(x.flatten(1))))


class GatedDecoder(nn.Module):
    """(B, D) -> (B, C, H, W): the encoder's layers in reverse."""

    def __init__(self, latent_dim: int, hidden: list[int], image_shape: tuple[int, int, int]):
        super().__init__()
        sizes = [latent_dim, *reversed(hidden)]
        self.layers = nn.Sequential(*(GatedLinear(a, b) for a, b in pairwise(sizes)))
        self.head, self.image_shape = nn.Linear(sizes[-1], math.prod(image_shape)), image_shape

    @property
    def output_bias(self) -> Tensor:
        return self.head.bias

    def forward(self, z: Tensor) -> Tensor:
        return at_least_float32(self.head(self.layers(z)).unflatten(1, self.image_shape))


def encoder(config: Gated, image_shape: tuple[int, int, int], out: int) -> GatedEncoder:
    return GatedEncoder(image_shape, config.hidden, out)


def decoder(config: Gated, latent_dim: int, image_shape: tuple[int, int, int],
            unit_norm: bool = False) -> GatedDecoder:  # fmt: skip
    return GatedDecoder(latent_dim, config.hidden, image_shape)
