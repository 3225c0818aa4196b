"""Stacked autoencoders, then a classifier."""

from __future__ import annotations

from dataclasses import dataclass

from aetrain.config.fields import setting
from aetrain.config.schema.task.base import Task

BY_ADAM = {"fine_tune_optimizer": ("adam",)}
BY_LBFGS = {"fine_tune_optimizer": ("lbfgs",)}


@dataclass
class ClassifyTask(Task):
    """Train autoencoders layer by layer, then classify their code."""

    layers: list[int] = setting("units of each autoencoder's code, one stacked on the other; model.latent_dim follows",
                                min=1)  # fmt: skip
    softmax_decay: float = setting("coefficient of the sum of squared weights in softmax regression", min=0)
    softmax_iterations: int = setting("of L-BFGS in softmax regression", min=1)
    fine_tune: bool = setting("train the classifier through the encoders, too")
    fine_tune_optimizer: str = setting("Adam, or L-BFGS on all training images at once", choices=("adam", "lbfgs"))
    fine_tune_epochs: int = setting("passes over the training images; with validation images the best of them counts",
                                    min=1, only_if=BY_ADAM)  # fmt: skip
    fine_tune_lr: float = setting("learning rate of Adam; falls to 0 on a cosine", above=0, only_if=BY_ADAM)
    fine_tune_batch_size: int = setting("per step", min=1, unit="images", only_if=BY_ADAM)
    fine_tune_iterations: int = setting("of L-BFGS; the last counts", min=1, only_if=BY_LBFGS)
    fine_tune_decay: float = setting("coefficient of the head's sum of squared weights", min=0)
