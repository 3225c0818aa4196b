"""A model's two halves as functions of one tensor, without noise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aetrain.models import Autoencoder


class Encoder(nn.Module):
    """Image (B, C, H, W) in [0, 1] -> code (B, *code_shape): the mean of the posterior where the model has one."""

    def __init__(self, model: Autoencoder):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        return self.model.encode(image)


class Decoder(nn.Module):
    """Code (B, *code_shape) -> mean image (B, C, H, W)."""

    def __init__(self, model: Autoencoder):
        super().__init__()
        self.model = model

    def forward(self, code: Tensor) -> Tensor:
        return self.model.decode(code)


def examples(model: Autoencoder, n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """n images, (n, C, H, W), uniform in [0, 1], and n codes, (n, *code_shape), of the spread of those images' own."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, *model.facts.image_shape, generator=generator)
    with torch.no_grad():
        codes = model.encode(images)
    noise = torch.randn(codes.shape, generator=generator)
    return images, codes.mean(0) + codes.std(0, correction=0) * noise
