"""Evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from aetrain.config.fields import setting
from aetrain.config.schema.task.base import OnImages


@dataclass
class Evaluate(OnImages):
    """What a trained model is worth: every term of its objective, NLL, image quality, what its codes tell."""

    nll_samples: int = setting("importance samples per image for the NLL of models with a posterior and a likelihood; "
                               "0: none", min=0)  # fmt: skip
    codes: bool = setting("also what the codes tell: k-NN and linear-probe accuracy beside pixels and PCA, the "
                          "Jacobian's norm, where factors are known SAP, DCI and other scores")  # fmt: skip
