"""Train autoencoders: from one command line, or from Python with `config`, `train` and `load`."""

from aetrain.api import Result, config, load, train
from aetrain.version import __version__

__all__ = ["Result", "__version__", "config", "load", "train"]
