"""Where a run is logged beside TensorBoard."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from typing import Optional

from aetrain.config.fields import setting
from aetrain.errors import UserError


@dataclass
class Logger:
    name: str = setting("tensorboard alone, or beside it mlflow or wandb", choices=("tensorboard", "mlflow", "wandb"))

    def check(self) -> None:
        """Raise a UserError for what cannot work here. Imports no logger's package."""


@dataclass
class TensorBoard(Logger):
    """Event files in the run's folder, and nothing beside them."""


@dataclass
class MLflow(Logger):
    """MLflow, beside TensorBoard: same tags, same steps. Needs aetrain[mlflow]."""

    tracking_uri: Optional[str] = setting("a server's address, sqlite:///file or a folder; null: MLFLOW_TRACKING_URI, "
                                          "else the folder mlruns")  # fmt: skip
    experiment: str = setting("the experiment that the run is filed under")

    def check(self) -> None:
        _installed("mlflow", self.name)
        if re.match(r"\w+:///?[^/]*@", self.tracking_uri or ""):
            raise UserError(
                "logger.tracking_uri: contains a password or a user, which would be written into the run's folder; "
                "leave them out and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_URI"
            )


@dataclass
class WandB(Logger):
    """Weights & Biases, beside TensorBoard: same tags, same steps. Needs aetrain[wandb]."""

    project: str = setting("the project that the run is filed under")
    entity: Optional[str] = setting("the user or team that the project belongs to; null: your default")
    mode: Optional[str] = setting("online sends, offline writes into the run's folder for wandb sync; null: "
                                  "WANDB_MODE, else online", choices=("online", "offline"))  # fmt: skip

    def check(self) -> None:
        _installed("wandb", self.name)


def _installed(package: str, name: str) -> None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:  # without an origin it is a folder of that name that happens to be here
        raise UserError(f"logger={name}: the package {package} is not installed; pip install 'aetrain[{name}]'")
