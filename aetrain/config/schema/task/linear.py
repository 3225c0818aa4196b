"""A linear model against the closed form."""

from __future__ import annotations

from dataclasses import dataclass

from aetrain.config.fields import setting
from aetrain.config.schema.task.base import Task


@dataclass
class LinearTask(Task):
    """A linear autoencoder against PCA, or a linear VAE against probabilistic PCA, for codes of several sizes."""

    code_sizes: list[int] = setting("units of the code, one training each; model.latent_dim follows", min=1)
    train: bool = setting("false: only the closed form, evaluated")
