"""Variational autoencoder."""

from __future__ import annotations

from typing import ClassVar

from aetrain.config.fields import setting
from aetrain.config.schema.model.base import LIKELIHOODS, Model
from aetrain.config.schema.net import Net
from aetrain.config.schema.schedule import scheduled


@scheduled
class VAE(Model):
    """Variational autoencoder (Kingma & Welling 2014): recon + kl."""

    takes_prior: ClassVar[bool] = True

    # A divergence in nats needs a likelihood in nats beside it.
    likelihood: str = setting(
        "how recon compares an image with its decoding, in nats", choices=LIKELIHOODS[1:],
        instead={"squared_error": "beside a KL in nats that is, up to a constant, the Gaussian with sigma = 1/√2; give "
                                  "model.likelihood=gaussian model.sigma=0.70710678"},
    )  # fmt: skip
    z_in_evaluation: str = setting("what is decoded in evaluation; with mean, nelbo is no bound",
                                   choices=("sample", "mean"))  # fmt: skip

    def varying(self, net: Net) -> str | None:
        return f"model={self.name}"
