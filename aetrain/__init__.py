"""Train autoencoders and use them: from one command line, or from Python with `config`, `train` and `load`, and with a
function for each task on a trained model: `aetrain.evaluate(run)`."""

from functools import partial
from typing import Any

from aetrain.api import Result, config, do, load, train
from aetrain.config.tables import ON_RUNS
from aetrain.version import __version__

__all__ = ["Result", "__version__", "config", "do", "load", "train"]


def __getattr__(name: str) -> Any:
    """The tasks on trained models: see `do`."""
    if name in ON_RUNS:
        return partial(do, name)
    raise AttributeError(f"module 'aetrain' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, *ON_RUNS]
