"""net=linear: one linear layer each way, an MLP without hidden layers."""

from __future__ import annotations

from aetrain.config.schema.net import Linear
from aetrain.nets.mlp import MLPDecoder, MLPEncoder


def encoder(config: Linear, image_shape: tuple[int, int, int], out: int) -> MLPEncoder:
    return MLPEncoder(image_shape, [], out, "identity")


def decoder(config: Linear, latent_dim: int, image_shape: tuple[int, int, int], unit_norm: bool = False) -> MLPDecoder:
    return MLPDecoder(latent_dim, [], image_shape, "identity", unit_norm)
