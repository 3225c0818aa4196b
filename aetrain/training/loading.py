"""A trained model, from its run folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from aetrain import models
from aetrain.config import stored
from aetrain.config.schema import Config
from aetrain.data.card import card, train_size
from aetrain.data.facts import Facts
from aetrain.errors import UserError
from aetrain.files import read_json
from aetrain.models import Autoencoder
from aetrain.runs import Trained
from aetrain.training import checkpoint
from aetrain.training.schedules import finish


def load_model(run: Path, device: str = "cpu") -> Autoencoder:
    """See aetrain.load."""
    path = run if run.is_file() else run / "checkpoints" / f"{tested(run)}.pt"
    content = checkpoint.load(path, device)
    return rebuilt(content, path, device)


def load_state(run: Trained) -> tuple[Path, dict[str, Any]]:
    """The checkpoint that a run names, checked as on resuming. Raises a UserError."""
    path = run.checkpoint or run.folder / "checkpoints" / f"{tested(run.folder)}.pt"
    content = checkpoint.load(path)
    checkpoint.check_state(path, content, run.config)
    return path, content


def rebuilt(content: dict[str, Any], path: Path, device: str | torch.device) -> Autoencoder:
    """The model of a checkpoint's content, in evaluation mode, its hparams as at the end of the run. Raises a
    UserError."""
    config = stored.build(content["config"], str(path))
    with torch.random.fork_rng(devices=[]):
        try:
            model = models.build(config.model, config.net, config.prior, _facts(content, config)).to(device)
            model.load_state_dict(content["model"])
        except (ValueError, TypeError, RuntimeError, KeyError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{path}: its weights do not fit its configuration ({reason})") from error
    finish(config, model)
    return model.eval()


def start_from(model: Autoencoder, run: Path) -> None:
    """Give a model the weights of another run's, of its folder those that were tested. Raises a UserError where they
    do not fit."""
    path = run if run.is_file() else run / "checkpoints" / f"{tested(run)}.pt"
    weights = checkpoint.load(path)["model"]
    try:
        model.load_state_dict(weights)
    except (ValueError, TypeError, RuntimeError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"init={run}: its weights do not fit this model ({reason}); give the model, net and model.latent_dim that "
            "it was trained with"
        ) from error


def tested(run: Path) -> str:
    """Which weights result.json says were tested; the last where there is no result."""
    try:
        result = read_json(run / "result.json")
    except UserError:
        return "last"
    return "best" if isinstance(result, dict) and result.get("tested") == "best" else "last"


def _facts(content: dict[str, Any], config: Config) -> Facts:
    """What the model knew of its data. Checkpoints of 0.1 do not say: it was MNIST, and the mean image only chose where
    the decoder's bias, which is loaded, began."""
    if "facts" in content:
        return Facts.of(content["facts"])
    known = card(config.data)
    mean, is_binary = torch.full(known.image_shape, 0.5), config.data.binarization != "none"
    return Facts(known.image_shape, train_size(config.data), mean, known.n_classes, is_binary)
