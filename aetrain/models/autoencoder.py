"""The contract that every model keeps, and what all of them share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from aetrain import losses
from aetrain.config import hparams
from aetrain.nets import ACTIVATIONS, build_decoder, build_encoder
from aetrain.noise import Noise


@dataclass(frozen=True)
class Facts:
    """What the data decide about a model."""

    image_shape: tuple[int, int, int]  # C, H, W
    train_size: int  # images
    mean_image: Tensor  # (C, H, W) in [0, 1], over the training split
    n_classes: int


class Autoencoder(nn.Module):
    """A variant writes `terms`, `weights` and whatever of the rest differs from a plain autoencoder.

    Every hparam of the configuration is a 0-D non-persistent buffer of the same name: the configuration is its only
    stored source, and a schedule writes the buffer in place.
    """

    has_prior: ClassVar[bool] = False  # whether `decode` of a standard normal z is a sample of the model
    outputs_per_latent: ClassVar[int] = 1  # numbers that the encoder gives for each dimension of the code
    unit_norm_decoder: bool = False

    def __init__(self, config, facts: Facts):
        super().__init__()
        self.config, self.facts = config, facts
        self.noise = Noise()
        self._split_statistics: Mapping[str, Tensor] = {}
        self.encoder = build_encoder(config, facts.image_shape, config.latent_dim * self.outputs_per_latent)
        self.decoder = build_decoder(config, facts.image_shape, self.encoder, self.unit_norm_decoder)
        for name, value in hparams(config).items():
            self.register_buffer(name, torch.tensor(value), persistent=False)

    # --- the contract

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        """Everything the objective is made of, and whatever else is worth a curve: each (B,), unweighted.
        x: (B, C, H, W) in [0, 1], y: labels (B,)."""
        raise NotImplementedError

    def weights(self) -> dict[str, Tensor | float]:
        """The coefficients of the terms that the objective adds up; a term that is not named here is only logged."""
        raise NotImplementedError

    def forward(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        """{"loss": Σ weight · term, **terms}, all (B,). The one place where weights meet terms."""
        terms = self.terms(x, y)
        return {"loss": sum(weight * terms[name] for name, weight in self.weights().items()), **terms}

    def encode(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, D), deterministic."""
        return ACTIVATIONS[self.config.code_activation](self.encoder(x))

    def decode(self, z: Tensor) -> Tensor:
        """(B, D) -> the mean image, (B, C, H, W)."""
        return self.mean_image(self.decoder(z))

    def corrupt(self, x: Tensor) -> Tensor:
        """What the encoder is given for x; x itself unless the model denoises."""
        return x

    def latents(self, x: Tensor) -> dict[str, Tensor]:
        """Per-image quantities, each (B, D), that `diagnostics` needs of a whole split."""
        return {"code": self.encode(x)}

    def diagnostics(self, latents: dict[str, Tensor]) -> dict[str, Tensor]:
        """What a split's latents, each (N, D), say: 0-D values become curves, 1-D ones histograms."""
        return {"code": latents["code"].flatten()}

    def batch_statistics(self, x: Tensor) -> dict[str, Tensor]:
        """Means over the batch that enter the objective; in evaluation they are taken over the whole split."""
        return {}

    # --- what variants are written with

    def reconstruction(self, x: Tensor, z: Tensor) -> Tensor:
        """The recon term of x given its code: nats for a likelihood, squared pixel units for squared_error.
        x: (B, C, H, W), z: (B, D) -> (B,)."""
        out = self.decoder(z)
        if self.config.likelihood == "bernoulli":
            return losses.bernoulli_nll(x, out)
        if self.config.likelihood == "gaussian":
            return losses.gaussian_nll(x, self.mean_image(out), self.sigma)
        return losses.squared_error(x, self.mean_image(out))

    def mean_image(self, out: Tensor) -> Tensor:
        """The image that a decoder's output stands for: a sigmoid for Bernoulli logits, else as configured."""
        is_logits = self.config.likelihood == "bernoulli" or self.config.output == "sigmoid"
        return torch.sigmoid(out) if is_logits else out

    def statistic(self, name: str, batch_value: Tensor) -> Tensor:
        """The whole split's value of a batch statistic where one is set (evaluation), else the batch's own."""
        return self._split_statistics.get(name, batch_value)

    @contextmanager
    def split_statistics(self, values: Mapping[str, Tensor]) -> Iterator[None]:
        """Within: `statistic` answers with these values."""
        before, self._split_statistics = self._split_statistics, values
        try:
            yield
        finally:
            self._split_statistics = before
