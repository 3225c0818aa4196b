"""Train autoencoders: from one command line, or from Python with `config`, `train` and `load`."""

from aetrain.api import Result, config, load, train

__version__ = "0.1.0"
__all__ = ["Result", "config", "load", "train"]
