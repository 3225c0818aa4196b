"""`aetrain resume=<folder>`: what continues a run or a sweep. Imports no torch.

The folder may be someone else's: a run's config.yaml is read as data into the typed configuration (config/stored.py),
and neither Hydra nor an override has a part in it. A sweep's members are composed again from the words of its
multirun.yaml, of which only plain values and names from our tables are taken over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString

from aetrain.config import stored
from aetrain.config.conf import CONF
from aetrain.config.schema import Config
from aetrain.config.tables import GROUPS
from aetrain.config.tree import flatten, plain
from aetrain.config.words import suggest
from aetrain.errors import UserError

# What may change in a run that goes on: how long, how it is written down, on what it computes, and the optimizer's
# numbers (a run that diverged is resumed with a smaller learning rate). The rest would make it another run.
MAY_CHANGE = re.compile(
    r"(trainer\.(?!batch_size$)\w+|device(\.\w+)?|data\.root|optimizer\.(?!name$|history$|schedule)\w+)$"
)

HARMLESS_LAUNCH = r"hydra/launcher=(aetrain|basic|joblib)|hydra\.launcher\.(mode|workers|memory_gb|n_jobs)=[\w.-]+"


@dataclass(frozen=True)
class Resumed:
    """What continues in a folder: a run with its configuration, or a sweep with overrides that compose it again."""

    folder: Path
    further: list[str]  # the user's further overrides
    config: Config | None = None  # of a run
    restored: Sequence[str] = ()  # of a sweep

    @property
    def is_sweep(self) -> bool:
        return self.config is None


def arguments(overrides: Sequence[str]) -> Resumed | None:
    """What `resume=` among the overrides asks for; None without it.

    Raises a UserError for a folder that holds no run, or a further override that would make it another run."""
    folders = [o.partition("=")[2] for o in overrides if o.startswith("resume=")]
    if not folders:
        return None
    folder, further = Path(folders[-1].strip("'\"")), [o for o in overrides if not o.startswith("resume=")]
    if folder.suffix == ".pt" or folder.name == "checkpoints":
        run = folder.parent if folder.name == "checkpoints" else folder.parent.parent
        raise UserError(f"resume={folder}: give the run's folder, resume={run}")
    if (folder / "multirun.yaml").is_file():
        return Resumed(folder, further, restored=_sweep_overrides(folder, further))
    if not (folder / "config.yaml").exists():
        if any(folder.glob("*/config.yaml")):
            raise UserError(
                f"resume={folder}: a sweep without a multirun.yaml; resume its members, resume={folder}/<member>"
            )
        raise UserError(f"resume={folder}: no run is there (no config.yaml); give a folder such as outputs/vae/<time>")
    config = stored.read(folder / "config.yaml")
    return Resumed(folder, further, stored.changed(config, _further(further, config, folder)))


def _further(overrides: Sequence[str], config: Config, folder: Path) -> list[tuple[str, Any]]:
    """Keys and values of the user's own overrides, which may not make it another run."""
    known = flatten(plain(config))
    values = []
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        is_plain = not (override.is_delete() or override.is_add() or override.is_sweep_override())
        if not (is_plain and MAY_CHANGE.match(key) and key in {*known, "device"}):
            groups = {name.partition(".")[0] for name in known}
            hint = f"start a new run without resume={folder}" if key in {*known, *groups} else suggest(key, known)
            raise UserError(
                f"{override.input_line}: would make {folder} another run, its length and logging can change; {hint}"
            )
        values.append((key, _plain(override.value())))
    return values


def _plain(value: Any) -> Any:
    """A value of Hydra's grammar without its quotes."""
    if isinstance(value, QuotedString):
        return value.text
    return [_plain(element) for element in value] if isinstance(value, list) else value


def _sweep_overrides(folder: Path, further: Sequence[str]) -> list[str]:
    """The command line of a sweep, from the multirun.yaml that Hydra wrote. Only how it is launched may change."""
    for override in further:
        if not re.match(r"hydra(/launcher|\.launcher\.\w+)=", override):
            raise UserError(
                f"{override}: a sweep is continued as it was, but for hydra/launcher and its keys; leave it out, or "
                f"resume a member, as in resume={folder}/<member>"
            )
    path = folder / "multirun.yaml"
    tree = stored.read_yaml(path)
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
    return _plain_overrides(stored.read_yaml(path), path)


def _plain_overrides(overrides: Any, path: Path) -> list[str]:
    """Raise a UserError unless all are plain values of keys or names from our tables: whatever else Hydra would do with
    an override is not for a file to ask for."""
    if not isinstance(overrides, list) or not all(isinstance(override, str) for override in overrides):
        raise UserError(f"{path}: refused, its overrides are not a list of words")
    overrides = [_modern(override) for override in overrides]
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "experiment":
            names = {file.stem for file in (CONF / "experiment").glob("*.yaml")}
        else:
            names = set(GROUPS.get(key, ()))
        is_value = re.fullmatch(r"[a-z]\w*(\.\w+)+|seed", key) and re.fullmatch(r"[^$\n]*", value)
        if key.startswith("hydra") or "_target_" in override or not (is_value or set(value.split(",")) <= names):
            raise UserError(f"{path}: refused, {override[:60]!r} is not a plain override of a sweep of aetrain")
    return overrides


def _modern(override: str) -> str:
    """A word of the first generation (0.1) with today's key."""
    key, sign, value = override.partition("=")
    key = re.sub(r"^model\.arch$", "net", key)
    key = re.sub(r"^model\.(hidden|channels|activation)$", r"net.\1", key)
    key = re.sub(r"^(model\.(?:schedule\.)?)weight_decay\b", r"\1l2_weight", key)
    return re.sub(r"(\bschedule(?:\.\w+)?)\.gamma$", r"\1.factor", key) + sign + value


def typed_out(value: Any) -> str:
    """A plain value in the grammar of Hydra's overrides."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(typed_out, value))}]"
    return QuotedString(value, Quote.single).with_quotes() if isinstance(value, str) else repr(value)
