"""What a task on a trained model is given, and what it returns. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aetrain.config.schema import Config
from aetrain.config.schema.data import Data
from aetrain.config.schema.task.base import OnRun
from aetrain.runs import Trained


@dataclass(frozen=True)
class Asked:
    """One task on one run. config: the run's, with what was given for its device and its own images. images: other
    images, with `given`, the dotted keys that were typed. seed: None where none was typed. out: the folder to write
    into; None for a new one, numbered, in the run's, or in `within`. beside: the same on other runs, for a task that
    takes several together; name: what tells the run from those; left_out: the names of runs that could not be taken."""

    task: OnRun
    run: Trained
    config: Config
    images: Data | None = None
    given: frozenset[str] = frozenset()
    seed: int | None = None
    out: Path | None = None
    within: Path | None = None
    beside: tuple[Asked, ...] = ()
    name: str = ""
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """folder: where the files are. metrics: the numbers of <task>.json; None where one is not finite. main: the names
    of those that a table over several runs shows."""

    folder: Path
    metrics: Mapping[str, float | None]
    main: tuple[str, ...] = field(default=(), repr=False)
