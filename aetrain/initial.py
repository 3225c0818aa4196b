"""What `init=` names: the run or the checkpoint whose weights a training starts from. Imports no torch.

The folder may be someone else's: what it holds is read as data."""

from __future__ import annotations

import re
from pathlib import Path

from aetrain.config.command import quoted
from aetrain.errors import UserError
from aetrain.latest import named
from aetrain.sweeps.report.read import Member, find, is_run, is_sweep

OBJECTIVES = ("val/nelbo", "val/recon")  # the first that a run has is what a sweep minimises


def initial(word: str) -> Path:
    """The run or checkpoint that `init=word` names, absolute. Raises a UserError."""
    path = named("init", word)
    if path.is_file() or (path / "checkpoints").is_dir():
        return path.absolute()
    found = f"init={word}: " + (f"{path}: " if str(path) != word else "")
    if path.is_dir() and not is_run(path) and (is_sweep(path) or any(map(is_run, path.iterdir()))):
        raise UserError(f"{found}{_one_of(path)}")
    raise UserError(f"{found}no trained model is there; give a run's folder or a checkpoint in it")


def _one_of(folder: Path) -> str:
    """The rest of a line about a folder of several runs: which of them to give, the best of those that are done."""
    runs = [run for run in find(folder).members if (run.folder / "checkpoints").is_dir()]
    runs = [run for run in runs if run.status == "done"] or runs
    if not runs:
        return "several runs, of which none has a checkpoint yet; give another run's folder"
    measured = [run for run in runs if _objective(run)]
    if not measured:
        return f"several runs; give one of them, as in {_typed(runs[0].folder)}"
    tag = _objective(measured[0])
    best = min((run for run in measured if _objective(run) == tag), key=lambda run: run.metrics[tag])
    return f"several runs; give one of them, as in {_typed(best.folder)}, which has the lowest {tag}"


def _objective(run: Member) -> str | None:
    return next((tag for tag in OBJECTIVES if run.metrics.get(tag) is not None), None)


def _typed(folder: Path) -> str:
    """As one types it: of a member's name, Hydra's grammar takes neither = nor a comma without quotes."""
    return f"init={folder}" if re.fullmatch(r"[\w./-]+", str(folder)) else quoted("init", str(folder))
