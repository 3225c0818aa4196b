"""Encoders and decoders: linear, MLP and convolutional, composed into every model by its configuration.

All keep images as (B, C, H, W) outside and return at least float32: autocast may leave a lower precision, in which
exponentials and sums of the objective would be several percent off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aetrain.errors import UserError

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "relu": F.relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


# Their derivatives, as functions of the same argument.
SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": torch.ones_like,
    "relu": lambda x: (x > 0).to(x.dtype),
    "elu": lambda x: torch.exp(x.clamp(max=0)),
    "gelu": lambda x: 0.5 * (1 + torch.erf(x / math.sqrt(2))) + x * torch.exp(-0.5 * x * x) / math.sqrt(2 * math.pi),
    "silu": lambda x: torch.sigmoid(x) * (1 + x * torch.sigmoid(-x)),
    "softplus": torch.sigmoid,
    "tanh": lambda x: 1 - torch.tanh(x).square(),
    "sigmoid": lambda x: torch.sigmoid(x) * torch.sigmoid(-x),
}


def at_least_float32(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


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


def _feature_shape(image_shape: tuple[int, int, int], channels: list[int]) -> tuple[int, int, int]:
    """Shape after one stride-2 layer per entry of channels."""
    _, height, width = image_shape
    factor = 2 ** len(channels)
    if height % factor or width % factor:
        raise UserError(
            f"model.channels={channels}: {len(channels)} stride-2 layers need an image side divisible by {factor}, "
            f"this one is {height}x{width}; give fewer channels"
        )
    return channels[-1], height // factor, width // factor


class ConvEncoder(nn.Module):
    """(B, C, H, W) -> (B, out): 4x4 convolutions of stride 2, then one linear layer."""

    def __init__(self, image_shape: tuple[int, int, int], channels: list[int], out: int, activation: str):
        super().__init__()
        sizes = [image_shape[0], *channels]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(sizes))
        self.head = nn.Linear(math.prod(_feature_shape(image_shape, channels)), out)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = ACTIVATIONS[self.activation](conv(x))
        return at_least_float32(self.head(x.flatten(1)))


class ConvDecoder(nn.Module):
    """(B, D) -> (B, C, H, W): one linear layer, then 4x4 transposed convolutions of stride 2."""

    def __init__(self, latent_dim: int, channels: list[int], image_shape: tuple[int, int, int], activation: str):
        super().__init__()
        self.feature_shape = _feature_shape(image_shape, channels)
        self.head = nn.Linear(latent_dim, math.prod(self.feature_shape))
        sizes = [*reversed(channels), image_shape[0]]
        self.convs = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, 2, 1) for a, b in pairwise(sizes))
        self.activation = activation

    @property
    def output_bias(self) -> Tensor:
        return self.convs[-1].bias

    def forward(self, z: Tensor) -> Tensor:
        x = self.head(z).unflatten(1, self.feature_shape)
        for conv in self.convs:
            x = conv(ACTIVATIONS[self.activation](x))
        return at_least_float32(x)


def build_encoder(config, image_shape: tuple[int, int, int], out: int) -> nn.Module:
    """The encoder that a model's configuration asks for, with `out` outputs per image."""
    if config.arch == "conv":
        return ConvEncoder(image_shape, config.channels, out, config.activation)
    return MLPEncoder(image_shape, config.hidden if config.arch == "mlp" else [], out, config.activation)


def build_decoder(config, image_shape: tuple[int, int, int], encoder: nn.Module, unit_norm: bool = False) -> nn.Module:
    """The decoder that mirrors the encoder, or shares its weights where config.tied."""
    if getattr(config, "tied", False):
        return TiedDecoder(encoder, image_shape)
    if config.arch == "conv":
        return ConvDecoder(config.latent_dim, config.channels, image_shape, config.activation)
    hidden = config.hidden if config.arch == "mlp" else []
    return MLPDecoder(config.latent_dim, hidden, image_shape, config.activation, unit_norm)
