"""net=mlp: linear layers with an activation between them."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aetrain.config.schema.net import MLP
from aetrain.nets.activations import ACTIVATIONS, at_least_float32


class MLPEncoder(nn.Module):
    """(B, C, H, W) -> (B, out): linear layers with an activation between them. No hidden layer: linear."""

    def __init__(self, image_shape: tuple[int, int, int], hidden: list[int], out: int, activation: str):
        super().__init__()
        sizes = [math.prod(image_shape), *hidden, out]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        h = x.flatten(1)
        for layer in self.layers[:-1]:
            h = ACTIVATIONS[self.activation](layer(h))
        return at_least_float32(self.layers[-1](h))


class MLPDecoder(nn.Module):
    """(B, D) -> (B, C, H, W): the encoder's layers in reverse. unit_norm keeps every layer's columns at norm 1."""

    def __init__(self, latent_dim: int, hidden: list[int], image_shape: tuple[int, int, int], activation: str,
                 unit_norm: bool = False):  # fmt: skip
        super().__init__()
        sizes = [latent_dim, *reversed(hidden), math.prod(image_shape)]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.activation, self.image_shape, self.unit_norm = activation, image_shape, unit_norm

    @property
    def output_bias(self) -> Tensor:
        return self.layers[-1].bias

    def _linear(self, layer: nn.Module, h: Tensor) -> Tensor:
        weight = F.normalize(layer.weight, dim=0) if self.unit_norm else layer.weight  # (out, in): a column per input
        return F.linear(h, weight, layer.bias)

    def forward(self, z: Tensor) -> Tensor:
        h = z
        for layer in self.layers[:-1]:
            h = ACTIVATIONS[self.activation](self._linear(layer, h))
        return at_least_float32(self._linear(self.layers[-1], h).unflatten(1, self.image_shape))


class TiedDecoder(nn.Module):
    """(B, D) -> (B, C, H, W): the encoder's weights transposed, with biases of its own."""

    def __init__(self, encoder: MLPEncoder, image_shape: tuple[int, int, int]):
        super().__init__()
        self._encoder = (encoder,)  # in a tuple, so that its parameters are not registered twice
        self.biases = nn.ParameterList(
            nn.Parameter(torch.zeros(layer.in_features)) for layer in reversed(encoder.layers)
        )
        self.activation, self.image_shape = encoder.activation, image_shape

    @property
    def output_bias(self) -> Tensor:
        return self.biases[-1]

    def forward(self, z: Tensor) -> Tensor:
        h = z
        layers = list(reversed(self._encoder[0].layers))
        for i, (layer, bias) in enumerate(zip(layers, self.biases, strict=True)):
            h = F.linear(h, layer.weight.t(), bias)
            if i + 1 < len(layers):
                h = ACTIVATIONS[self.activation](h)
        return at_least_float32(h.unflatten(1, self.image_shape))


def encoder(config: MLP, image_shape: tuple[int, int, int], out: int) -> MLPEncoder:
    return MLPEncoder(image_shape, config.hidden, out, config.activation)


def decoder(config: MLP, latent_dim: int, image_shape: tuple[int, int, int], unit_norm: bool = False) -> MLPDecoder:
    return MLPDecoder(latent_dim, config.hidden, image_shape, config.activation, unit_norm)
