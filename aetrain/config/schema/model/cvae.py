"""Conditional VAE."""

from __future__ import annotations

from typing import ClassVar

from aetrain.config.schema.model.vae import VAE
from aetrain.config.schema.schedule import scheduled


@scheduled
class CVAE(VAE):
    """Conditional VAE (Kingma et al. 2014, M2's part of labelled images; Sohn et al. 2015): recon + kl, given the
    label."""

    needs_labels: ClassVar[bool] = True
