"""What codes are like before the image is seen, a file for each prior. Listed in aetrain/config/tables.py.

A prior knows of the model only its posterior, and a model of its prior only what `Prior` offers.
"""

from __future__ import annotations

from importlib import import_module

from aetrain.config.schema.prior import Prior as PriorConfig
from aetrain.config.tables import PRIORS
from aetrain.data.facts import Facts
from aetrain.noise import Noise
from aetrain.priors.prior import Posterior, Prior


def build_prior(config: PriorConfig, code_shape: tuple[int, ...], facts: Facts, noise: Noise,
                posterior: Posterior) -> Prior:  # fmt: skip
    """The prior that a configuration names, for codes (B, *code_shape) of the model whose posterior is given."""
    return import_module(PRIORS.module(config.name)).prior(config, code_shape, facts, noise, posterior)
