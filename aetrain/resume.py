"""`aetrain resume=<run folder>`: the command line that continues a run. Imports no torch.

The folder may be someone else's: its config.yaml is read as data and becomes overrides, which Hydra composes and
aetrain checks like any others. Nothing in it can name code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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
    r"(trainer\.(?!batch_size$)\w+|device(\.\w+)?|data\.root|optimizer\.(?!name$|schedule)\w+|hydra\.(job_logging|verbose).*)$"
)


def arguments(overrides: Sequence[str]) -> tuple[Path, list[str], list[str]] | None:
    """(folder, overrides that compose its run again, the user's further overrides) where `resume=` is given.

    Raises a UserError for a folder that holds no run, or a further override that would make it another run."""
    folders = [o.partition("=")[2] for o in overrides if o.startswith("resume=")]
    if not folders:
        return None
    folder, further = Path(folders[-1].strip("'\"")), [o for o in overrides if not o.startswith("resume=")]
    if (folder / "multirun.yaml").is_file():
        member = min((path.parent for path in folder.glob("*/config.yaml")), default=folder / "…")
        raise UserError(f"resume={folder}: a sweep; resume its members one by one, as in resume={member}")
    tree = _read(folder)
    flat = flatten(tree)
    for override in further:
        key = override.lstrip("+~").partition("=")[0]
        if not MAY_CHANGE.match(key):
            known = key in flat or key in tree
            hint = f"start a new run without resume={folder}" if known else suggest(key, flat)
            raise UserError(f"{override}: would make {folder} another run, its length and logging can change; {hint}")
    return folder, _overrides(tree, folder), further


def _read(folder: Path) -> dict[str, Any]:
    """The folder's config.yaml as nested dicts of plain values."""
    path = folder / "config.yaml"
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(
            f"resume={folder}: no run is there (no config.yaml); give a folder such as outputs/vae/<time>"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UserError(f"{path}: not readable as YAML ({' '.join(str(error).split())[:120]})") from error
    if not isinstance(tree, dict) or not all(isinstance(tree.get(group), dict) for group in ("model", *schema.GROUPS)):
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
    choices = [f"{group}={_typed_out(tree[group]['name'])}" for group in groups]
    values = [f"{key}={_typed_out(value)}" for key, value in flatten(tree).items() if not key.endswith(".name")]
    return [*choices, *values, f"hydra.run.dir={_typed_out(str(folder))}", "hydra.output_subdir=null"]


def _typed_out(value: Any) -> str:
    """A plain value in the grammar of Hydra's overrides."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(_typed_out, value))}]"
    return QuotedString(value, Quote.single).with_quotes() if isinstance(value, str) else repr(value)
