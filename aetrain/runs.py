"""What `run=` names: the folder of a run, or a checkpoint in one. Imports no torch.

The folder may be someone else's: what it holds is read as data (config/stored.py)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aetrain.config import stored
from aetrain.config.schema import Config
from aetrain.errors import UserError

WANTED = "give a run's folder, such as outputs/vae/<time>, or a checkpoint in it"


@dataclass(frozen=True)
class Trained:
    """A run that has been trained. checkpoint: the file that was named; None where the folder was, whose result.json
    says which weights were tested."""

    folder: Path
    config: Config
    checkpoint: Path | None = None

    @property
    def path(self) -> Path:
        """What was named."""
        return self.checkpoint or self.folder


def trained(path: Path) -> Trained:
    """The run that a path names. Raises a UserError, one line."""
    told = f"run={path}"
    if not path.exists():
        raise UserError(f"{told}: there is no such file or folder; {WANTED}")
    if path.name == "checkpoints":
        raise UserError(f"{told}: give the run's folder, run={path.parent}, or a file in this one")
    folder = path.parent.parent if path.is_file() else path
    if path.is_file() and (path.suffix != ".pt" or not (folder / "config.yaml").exists()):
        raise UserError(
            f"{told}: no checkpoint in a run's folder; {WANTED}, as in outputs/vae/<time>/checkpoints/last.pt"
        )
    if not (folder / "config.yaml").exists():
        raise UserError(f"{told}: no run is there (no config.yaml); {WANTED}")
    config = stored.read(folder / "config.yaml")
    if not (folder / "checkpoints").is_dir():
        stages = sorted(found.parent.name for found in folder.glob("*/config.yaml"))
        hint = f"give one of its stages, as in run={folder / stages[0]}" if stages else "it has no checkpoint yet"
        raise UserError(f"{told}: no model is there, {hint}")
    return Trained(folder, config, path if path.is_file() else None)
