"""Undercomplete autoencoder."""

from __future__ import annotations

from aetrain.config.schema.model.base import Deterministic
from aetrain.config.schema.schedule import scheduled


@scheduled
class AE(Deterministic):
    """Undercomplete autoencoder (Hinton & Salakhutdinov 2006): recon."""
