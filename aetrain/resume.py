"""`aetrain resume=<folder>`: what continues a run or a sweep. Imports no torch.

The folder may be someone else's. What it holds is read as data into typed configurations (config/stored.py,
sweeps/members.py); neither Hydra nor an override has a part in it. The user's own further words are parsed, checked
against what may change, and set on the typed tree.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from aetrain.compose import check, check_typed, composed, typed_out, unquoted
from aetrain.config import stored
from aetrain.config.explain import unknown
from aetrain.config.schema import Config
from aetrain.config.schema.logger import Logger
from aetrain.config.tables import GROUPS
from aetrain.config.tree import MAY_CHANGE, flatten, plain
from aetrain.errors import UserError
from aetrain.latest import named
from aetrain.sweeps import members
from aetrain.sweeps.members import Sweep


@dataclass(frozen=True)
class Resumed:
    """What continues in a folder: a run with its configuration, or a sweep with its members and Hydra's overrides that
    launch it."""

    folder: Path
    further: list[str]  # the user's further overrides
    config: Config | None = None  # of a run
    sweep: Sweep | None = None
    launch: Sequence[str] = ()  # of a sweep


def arguments(overrides: Sequence[str]) -> Resumed | None:
    """What `resume=` among the overrides asks for; None without it.

    Raises a UserError for a folder that holds no run, or a further override that would make it another run."""
    folders = [o.partition("=")[2] for o in overrides if o.startswith("resume=")]
    if not folders:
        return None
    if not folders[-1]:
        raise UserError("resume=: give the folder of a run or of a sweep, or resume=latest")
    folder, further = named("resume", folders[-1]), [o for o in overrides if not o.startswith("resume=")]
    if folder.suffix == ".pt" or folder.name == "checkpoints":
        run = folder.parent if folder.name == "checkpoints" else folder.parent.parent
        raise UserError(f"resume={folder}: give the run's folder, resume={run}")
    logger, further = _logger(further)
    if members.is_sweep(folder):
        sweep = _logged(members.read(folder), logger)
        if not sweep.members:
            raise UserError(f"resume={folder}: no run of this sweep has begun; give its command again")
        for member in sweep.members:
            check_typed(member.config)
        further = _without_task(further, sweep.members[0].config)
        return Resumed(folder, further, sweep=sweep, launch=_launch(folder, sweep, further))
    if not (folder / "config.yaml").exists():
        raise UserError(
            f"resume={folder}: no run is there (no config.yaml); give a folder such as outputs/vae/<time>, or latest"
        )
    config = stored.read(folder / "config.yaml")
    further = _without_task(further, config)
    changed = stored.changed(config, _further(further, config, folder))
    return Resumed(folder, further, config=changed if logger is None else dataclasses.replace(changed, logger=logger))


def _without_task(words: Sequence[str], config: Config) -> list[str]:
    """Without the run's own task, as in `aetrain train resume=…`: it stays what it is."""
    return [word for word in words if word != f"task={config.task.name}"]


def _logger(words: Sequence[str]) -> tuple[Logger | None, list[str]]:
    """The logger that the user's own words ask for, and the other words. What the folder says of one is not taken over
    (config/stored.py)."""
    own = [word for word in words if re.match(r"logger[=.]", word)]
    if not own:
        return None, list(words)
    if not any(word.startswith("logger=") for word in own):
        raise UserError(f"{own[0]}: a run's logger is given again on resume; add logger=mlflow or logger=wandb")
    return check(composed(own)[0], own).logger, [word for word in words if word not in own]


def _logged(sweep: Sweep, logger: Logger | None) -> Sweep:
    if logger is None:
        return sweep
    return dataclasses.replace(sweep, members=tuple(member.logged_to(logger) for member in sweep.members))


def _launch(folder: Path, sweep: Sweep, further: Sequence[str]) -> list[str]:
    """Hydra's overrides that launch a sweep again: as it was, as far as that is harmless, or as the user says now."""
    for override in further:
        if not re.match(r"hydra(/launcher|\.launcher\.\w+)=", override):
            raise UserError(
                f"{override}: a sweep is continued as it was, but for its launcher and its logger; leave it out, or "
                f"resume one of its runs, as in resume={folder}/<run>"
            )
    found = [f"hydra.sweep.dir={typed_out(str(folder))}"]
    if not any(override.startswith("hydra/launcher=") for override in further):
        launch = dict(sweep.launch)
        found.append(f"hydra/launcher={launch.pop('launcher', 'aetrain')}")
        found += [f"hydra.launcher.{key}={typed_out(value)}" for key, value in launch.items()]
    return [*found, *further]


def _further(overrides: Sequence[str], config: Config, folder: Path) -> list[tuple[str, Any]]:
    """Keys and values of the user's own overrides, which may not make it another run."""
    known = flatten(plain(config))
    values = []
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        if key not in {*known, *GROUPS, "experiment"} and not key.startswith("hydra"):
            group = key.rpartition(".")[0]
            siblings = [name.rpartition(".")[2] for name in known if name.startswith(f"{group}.")]
            raise UserError(unknown(key, siblings, overrides))
        is_plain = not (override.is_delete() or override.is_add() or override.is_sweep_override())
        if not (is_plain and MAY_CHANGE.match(key)):
            raise UserError(
                f"{override.input_line}: {key} cannot change on resume, length, logging and device can; start a new "
                f"run, without resume={folder}"
            )
        values.append((key, unquoted(override.value())))
    return values
