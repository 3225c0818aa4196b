"""The model variants: one file each. `autoencoder.py` is the contract that all of them keep."""

from __future__ import annotations

from importlib import import_module

from aetrain.models.autoencoder import Autoencoder, Facts
from aetrain.schema import MODELS

__all__ = ["Autoencoder", "Facts", "build"]


def build(config, facts: Facts) -> Autoencoder:
    """The model that a configuration names. The name is looked up in schema.MODELS, never imported as given: a
    configuration from someone else cannot make anything else run."""
    if config.name not in MODELS:
        raise KeyError(config.name)
    module = import_module(f"aetrain.models.{config.name}")
    return getattr(module, MODELS[config.name].__name__)(config, facts)
