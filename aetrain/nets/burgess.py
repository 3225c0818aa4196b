"""net=burgess: the networks of Burgess et al. 2018 (appendix A.1), on which most disentanglement is measured."""

from __future__ import annotations

from aetrain.config.schema.net import Burgess
from aetrain.nets.conv import ConvDecoder, ConvEncoder, Layers

SMALLEST = 4  # pixels, of the sides that are left for the dense layers


def layers(image_shape: tuple[int, int, int]) -> Layers:
    """32-channel 4x4 convolutions of stride 2, as many as leave the longer side SMALLEST pixels, four for 64x64 and
    three for 32x32, then two dense layers of 256, ReLU throughout."""
    longer, count = max(image_shape[1:]), 1
    while SMALLEST * 2**count < longer:
        count += 1
    return Layers([32] * count, [256, 256], 4, 2, "none", "relu")


def encoder(config: Burgess, image_shape: tuple[int, int, int], out: int) -> ConvEncoder:
    return ConvEncoder(image_shape, layers(image_shape), out)


def decoder(
    config: Burgess, latent_dim: int, image_shape: tuple[int, int, int], unit_norm: bool = False
) -> ConvDecoder:
    """unit_norm: refused with the configuration."""
    return ConvDecoder(latent_dim, layers(image_shape), image_shape)
