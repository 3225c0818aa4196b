"""Encoders and decoders, a file for each architecture: `encoder(config, image_shape, out)` and `decoder(config,
latent_dim, image_shape, unit_norm)`. Listed in aetrain/config/tables.py. What `spatial.py` makes of them has a code at
every place of the last convolution's features.

All keep images as (B, C, H, W) outside and return at least float32: autocast may leave a lower precision, in which
exponentials and sums of the objective would be several percent off.
"""

from __future__ import annotations

from importlib import import_module

from torch import nn

from aetrain.config.schema.net import Net
from aetrain.config.tables import NETS
from aetrain.nets.init import initialised
from aetrain.nets.mlp import TiedDecoder


def build_encoder(config: Net, image_shape: tuple[int, int, int], out: int) -> nn.Module:
    """(B, C, H, W) -> (B, out)."""
    return initialised(import_module(NETS.module(config.name)).encoder(config, image_shape, out), config.init)


def build_decoder(config: Net, latent_dim: int, image_shape: tuple[int, int, int], unit_norm: bool = False,
                  tied_to: nn.Module | None = None) -> nn.Module:  # fmt: skip
    """(B, D) -> (B, C, H, W), mirroring the encoder. unit_norm: with columns of norm 1. tied_to: the dense encoder
    whose weights it shares."""
    if tied_to is not None:
        return TiedDecoder(tied_to, image_shape)
    built = import_module(NETS.module(config.name)).decoder(config, latent_dim, image_shape, unit_norm)
    return initialised(built, config.init)
