"""The model variants: one file each. `autoencoder.py` is the contract that all of them keep."""

from __future__ import annotations

from importlib import import_module

from aetrain.config.schema.model.base import Model
from aetrain.config.schema.net import Net
from aetrain.config.tables import MODELS
from aetrain.data.facts import Facts
from aetrain.models.autoencoder import Autoencoder

__all__ = ["Autoencoder", "build"]


def build(config: Model, net: Net, facts: Facts) -> Autoencoder:
    """The model that a configuration names, with these networks. The name is looked up in a table, never imported as
    given: a configuration from someone else cannot make anything else run."""
    return getattr(import_module(MODELS.module(config.name)), MODELS[config.name].__name__)(config, net, facts)
