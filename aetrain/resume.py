"""`aetrain resume=<folder>`: the command line that continues a run or a sweep. Imports no torch.

The folder may be someone else's: its config.yaml is read as data and becomes overrides, which Hydra composes and
aetrain checks like any others. Nothing in it can name code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Quote, QuotedString

from aetrain import schema
from aetrain.config import flatten, suggest
from aetrain.errors import UserError

# What may change in a run that goes on: how long, how it is written down, on what it computes, and the optimizer's
# numbers (a run that diverged is resumed with a smaller learning rate). The rest would make it another run.
MAY_CHANGE = re.compile(
    r"(trainer\.(?!batch_size$)\w+|device(\.\w+)?|data\.root|optimizer\.(?!name$|history$|schedule)\w+|hydra\.(job_logging|verbose).*)$"
)

HARMLESS_LAUNCH = r"hydra/launcher=(aetrain|basic|joblib)|hydra\.launcher\.(mode|workers|memory_gb|n_jobs)=[\w.-]+"


@dataclass(frozen=True)
class Resumed:
    """A command line that continues what is in a folder."""

    folder: Path
    restored: list[str]  # overrides that compose it again
    further: list[str]  # the user's further overrides
    is_sweep: bool


def arguments(overrides: Sequence[str]) -> Resumed | None:
    """What `resume=` among the overrides asks for; None without it.

    Raises a UserError for a folder that holds no run, or a further override that would make it another run."""
    folders = [o.partition("=")[2] for o in overrides if o.startswith("resume=")]
    if not folders:
        return None
    folder, further = Path(folders[-1].strip("'\"")), [o for o in overrides if not o.startswith("resume=")]
    if (folder / "multirun.yaml").is_file():
        return Resumed(folder, _sweep_overrides(folder, further), further, is_sweep=True)
    if not (folder / "config.yaml").exists() and any(folder.glob("*/config.yaml")):
        raise UserError(
            f"resume={folder}: a sweep without a multirun.yaml; resume its members, resume={folder}/<member>"
        )
    tree = _read(folder / "config.yaml")
    known = flatten(tree)
    for override in further:
        key = override.lstrip("+~").partition("=")[0]
        if not MAY_CHANGE.match(key):
            hint = (
                suggest(key, known) if known and key not in {*known, *tree} else f"start anew without resume={folder}"
            )
            raise UserError(f"{override}: would make {folder} another run, its length and logging can change; {hint}")
    return Resumed(folder, _overrides(_check_tree(tree, folder / "config.yaml"), folder), further, is_sweep=False)


def _sweep_overrides(folder: Path, further: Sequence[str]) -> list[str]:
    """The command line of a sweep, from the multirun.yaml that Hydra wrote. Only how it is launched may change."""
    for override in further:
        if not re.match(r"hydra(/launcher|\.launcher\.\w+)=", override):
            raise UserError(
                f"{override}: a sweep is continued as it was, but for hydra/launcher and its keys; leave it out, or "
                f"resume a member, as in resume={folder}/<member>"
            )
    path = folder / "multirun.yaml"
    tree = _read(path)
    try:
        overrides, launching = tree["hydra"]["overrides"]["task"], tree["hydra"]["overrides"].get("hydra", [])
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not the configuration of a sweep") from error
    # Others are given again: some, such as the shell commands of a job on a cluster, run code.
    kept = [o for o in launching if isinstance(o, str) and re.fullmatch(HARMLESS_LAUNCH, o)]
    kept = [] if any(o.startswith("hydra/launcher=") for o in further) else kept
    return [*_plain_overrides(overrides, path), *kept, f"hydra.sweep.dir={typed_out(str(folder))}"]


def read_overrides(path: Path) -> list[str]:
    """The overrides of a sweep's member, from the overrides.yaml that Hydra wrote. Raises a UserError."""
    return _plain_overrides(_load(path), path)


def _plain_overrides(overrides: Any, path: Path) -> list[str]:
    plain = re.compile(r"[A-Za-z]\w*(\.\w+)*=[^$\n]*")
    if not isinstance(overrides, list) or not all(isinstance(o, str) and plain.fullmatch(o) for o in overrides):
        raise UserError(f"{path}: refused, its overrides are not plain key=value ones")
    if any("_target_" in o or o.startswith("hydra") for o in overrides):
        raise UserError(f"{path}: refused, its overrides are not those of a sweep of aetrain")
    return overrides


def _read(path: Path) -> dict[str, Any]:
    """A YAML file as nested dicts of plain values."""
    tree = _load(path)
    if not isinstance(tree, dict):
        raise UserError(f"{path}: not the configuration of a run")
    return tree


def _load(path: Path) -> Any:
    """A YAML file's plain values."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(
            f"resume={path.parent}: no run is there (no {path.name}); give a folder such as outputs/vae/<time>"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UserError(f"{path}: not readable as YAML ({' '.join(str(error).split())[:120]})") from error


def _check_tree(tree: dict[str, Any], path: Path) -> dict[str, Any]:
    """The tree itself, if it has the form of a run's configuration and holds plain values only."""
    if not all(isinstance(tree.get(group), dict) for group in ("model", *schema.GROUPS)):
        raise UserError(f"{path}: not the configuration of a run")
    _refuse_code(tree, path)
    return tree


def _refuse_code(node: Any, path: Path, depth: int = 0) -> None:
    """Raise a UserError for anything that could make Hydra do more than set a value."""
    if depth > 10:
        raise UserError(f"{path}: nested too deeply for the configuration of a run")
    if isinstance(node, dict):
        for key, value in node.items():
            if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z]\w*", key) or key == "hydra":
                raise UserError(f"{path}: refused, the key {str(key)[:40]!r} has no place in a run's configuration")
            _refuse_code(value, path, depth + 1)
    elif isinstance(node, list):
        for value in node:
            _refuse_code(value, path, depth + 1)
    elif isinstance(node, str):
        if "${" in node or "\n" in node:
            raise UserError(f"{path}: refused, the value {node[:40]!r} is not plain")
    elif not (node is None or isinstance(node, bool | int | float)):
        raise UserError(f"{path}: refused, a value of type {type(node).__name__} is not plain")


def _overrides(tree: dict[str, Any], folder: Path) -> list[str]:
    """The configuration as a command line: each group's option, then each value."""
    groups = [group for group in ("model", *schema.GROUPS) if "name" in tree[group]]
    choices = [f"{group}={typed_out(tree[group]['name'])}" for group in groups]
    values = [f"{key}={typed_out(value)}" for key, value in flatten(tree).items() if not key.endswith(".name")]
    return [*choices, *values, f"hydra.run.dir={typed_out(str(folder))}", "hydra.output_subdir=null"]


def typed_out(value: Any) -> str:
    """A plain value in the grammar of Hydra's overrides."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(typed_out, value))}]"
    return QuotedString(value, Quote.single).with_quotes() if isinstance(value, str) else repr(value)
