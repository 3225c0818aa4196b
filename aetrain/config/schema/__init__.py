"""Names, types and ranges of all configuration: a file per group, the models' in a folder. Defaults are in conf/."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from omegaconf import MISSING

from aetrain.config.fields import setting
from aetrain.config.schema.data import Data
from aetrain.config.schema.device import Device
from aetrain.config.schema.logger import Logger
from aetrain.config.schema.model.base import Model
from aetrain.config.schema.net import Net
from aetrain.config.schema.optimizer import Optimizer
from aetrain.config.schema.prior import Prior
from aetrain.config.schema.task.base import Task
from aetrain.config.schema.trainer import Trainer


@dataclass
class Config:
    """A whole run."""

    model: Model = MISSING
    net: Net = MISSING
    prior: Optional[Prior] = setting("what a VAE's codes are like before the image is seen; null: the model has none",
                                     default=None)  # fmt: skip
    data: Data = MISSING
    device: Device = MISSING
    optimizer: Optimizer = MISSING
    trainer: Trainer = MISSING
    logger: Logger = MISSING
    task: Task = MISSING
    name: Optional[str] = setting("added to the folder's name; null: nothing")
    tags: list[str] = setting("words to find the run by, as in tags=[paper,small]; kept in config.yaml",
                              may_be_empty=True)  # fmt: skip
    init: Optional[str] = setting("the run whose weights training starts from, a folder or checkpoint, or latest; "
                                  "null: random weights")  # fmt: skip
    seed: int = setting("of initial weights, batches and noise; 0 is a seed like any other", min=0, max=2**63 - 1)
