"""A model's two halves as functions of tensors, without noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aetrain.models import Autoencoder


class Encoder(nn.Module):
    """Image (B, C, H, W) in [0, 1], and its label (B,) for a model that is given classes -> code (B, *code_shape): the
    mean of the posterior where the model has one."""

    def __init__(self, model: Autoencoder):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        return self.model.encode(image, label)


class Decoder(nn.Module):
    """Code (B, *code_shape), and a label (B,) for a model that is given classes -> mean image (B, C, H, W)."""

    def __init__(self, model: Autoencoder):
        super().__init__()
        self.model = model

    def forward(self, code: Tensor, label: Tensor | None = None) -> Tensor:
        return self.model.decode(code, label)


@dataclass(frozen=True)
class Half:
    """inputs: name -> examples, at least 7 each, in the order that the network takes them; output: its name."""

    network: nn.Module
    inputs: dict[str, Tensor]
    output: str


def halves(model: Autoencoder, n: int, seed: int = 0) -> dict[str, Half]:
    """Encoder and decoder with n examples: images, (n, C, H, W), uniform in [0, 1], codes, (n, *code_shape), of the
    spread of those images' own, and for a model that is given classes labels, (n,), from the first to the last."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(n, *model.facts.image_shape, generator=generator)
    labels: dict[str, Tensor] = {}
    if model.config.needs_labels:
        labels = {"label": torch.arange(n) * max(model.facts.n_classes - 1, 0) // (n - 1)}
    with torch.no_grad():
        codes = model.encode(images, *labels.values())
    noise = torch.randn(codes.shape, generator=generator)
    codes = codes.mean(0) + codes.std(0, correction=0) * noise
    return {
        "encoder": Half(Encoder(model).eval(), {"image": images} | labels, "code"),
        "decoder": Half(Decoder(model).eval(), {"code": codes} | labels, "image"),
    }
