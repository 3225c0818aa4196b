"""The model variants: one file each. `autoencoder.py` is the contract that all of them keep."""

from __future__ import annotations

from importlib import import_module

from aetrain.config.schema.model.base import Model
from aetrain.config.schema.net import Net
from aetrain.config.schema.prior import Prior
from aetrain.config.tables import MODELS
from aetrain.data.facts import Facts
from aetrain.models.autoencoder import Autoencoder
from aetrain.priors import build_prior

__all__ = ["Autoencoder", "build"]


def build(config: Model, net: Net, prior: Prior | None, facts: Facts) -> Autoencoder:
    """The model that a configuration names, with these networks and, where it has one, this prior. The name is looked
    up in a table, never imported as given: a configuration from someone else cannot make anything else run."""
    model = getattr(import_module(MODELS.module(config.name)), MODELS[config.name].__name__)(config, net, facts)
    if prior is not None:  # last, so that the networks start with the same weights whatever the prior
        model.prior = build_prior(prior, model.code_shape, facts, model.noise, model.posterior)
    return model
