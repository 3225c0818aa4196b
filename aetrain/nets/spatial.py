"""Convolutional networks whose code keeps its place in the image: vectors on a grid, that of the last convolution's
features."""

from __future__ import annotations

from torch import nn

from aetrain.config.schema.net import Net
from aetrain.nets import build_decoder, build_encoder
from aetrain.nets.init import initialised


def build_spatial_encoder(config: Net, image_shape: tuple[int, int, int], channels: int) -> nn.Module:
    """(B, C, H, W) -> (B, channels · h · w), in that order. `feature_shape` of the network ends in (h, w). config: with
    is_spatial."""
    network = build_encoder(config, image_shape, 1)
    network.head = initialised(_at_every_place(network.feature_shape, channels), config.init)
    return network


def build_spatial_decoder(config: Net, channels: int, image_shape: tuple[int, int, int]) -> nn.Module:
    """(B, channels · h · w) -> (B, C, H, W)."""
    network = build_decoder(config, 1, image_shape)
    out, height, width = network.feature_shape
    network.head = initialised(_at_every_place((channels, height, width), out), config.init)
    return network


def _at_every_place(shape: tuple[int, int, int], out: int) -> nn.Module:
    """The same linear layer everywhere, in the place of one that sees everything: (B, c · h · w) -> (B, out · h · w).
    shape: (c, h, w)."""
    return nn.Sequential(nn.Unflatten(1, tuple(shape)), nn.Conv2d(shape[0], out, 1), nn.Flatten(1))
