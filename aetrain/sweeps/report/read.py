"""The runs in a sweep's folder, or in any folder of runs, as their files tell of them. Imports no torch.

The files may be half-written, damaged or someone else's: whatever cannot be read makes the run say why, and stops
nothing. They are read as data, up to a size, and through no link.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml

from aetrain.config import stored
from aetrain.errors import UserError
from aetrain.files import parsed
from aetrain.sweeps.report.disk import content, is_file, is_folder, is_locked, tail
from aetrain.sweeps.report.values import MISSING, MOST_KEYS, Missing, Value, clean, flatten, number

LARGEST = 4 << 20  # bytes of a run's file that is read as a whole
LARGEST_PLAN = 64 << 20  # bytes of sweep.json
TAIL = 256 << 10  # bytes read from the end of metrics.jsonl
MOST_PAIRED = 64  # dimensions of a code
DEEPEST = 16  # levels of nesting of a YAML file
STATUSES = ("done", "failed", "interrupted")  # what result.json may say
UNREADABLE = (UserError, OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError, yaml.YAMLError)


@dataclass(frozen=True)
class Member:
    """One run of a sweep. metrics: None where a value is not finite."""

    folder: Path
    name: str = ""  # of the folder, below the sweep's
    number: int | None = None
    config: Mapping[str, Value] = field(default_factory=dict)  # dotted key -> value; empty where it is not known
    status: str = "waiting"  # done | failed | interrupted | running | stopped | waiting | unreadable
    reason: str | None = None
    step: int | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    kl_per_dimension: tuple[float, ...] = ()
    activation_per_unit: tuple[float, ...] = ()
    correlation: tuple[tuple[float, ...], ...] = ()  # of the posterior means; square
    seconds: float | None = None
    explorer: str | None = None  # the newest page of aetrain explore, below the folder

    @property
    def seed(self) -> Value | Missing:
        return self.value("seed")

    def value(self, key: str) -> Value | Missing:
        """Of a leaf of the configuration, or the option of a group (`model`)."""
        return self.config.get(key, self.config.get(f"{key}.name", MISSING))


class Found(NamedTuple):
    """members: by number, then by name. note: what a reader must know of the folder, or None. explorer: the newest page
    of aetrain explore on all of them, below the folder, or None."""

    members: list[Member]
    is_sweep: bool
    note: str | None
    explorer: str | None


def find(folder: Path) -> Found:
    """All runs in a folder: those that sweep.json plans, and the folders in it that are a run's."""
    plan, note = _plan(folder)
    names = dict.fromkeys([*plan, *(path.name for path in folder.iterdir() if is_run(path))])
    members = [read(folder, name, plan.get(name)) for name in names]
    members.sort(key=lambda m: (m.number is None, m.number or 0, m.name))
    numbered = any(m.number is not None for m in members)
    return Found(members, is_sweep(folder) or numbered, note, _explorer(folder))


def is_run(path: Path) -> bool:
    if path.name == ".hydra":  # which has a config.yaml, of the run that it is in
        return False
    return is_folder(path) and (is_file(path / "config.yaml") or is_file(path / "result.json"))


def is_sweep(folder: Path) -> bool:
    """Whether something was launched there as a sweep. Hydra's own sweepers write multirun.yaml."""
    return is_file(folder / "sweep.json") or is_file(folder / "multirun.yaml")


def check_folder(folder: Path) -> None:
    """Raise a UserError for a folder that holds no runs."""
    wanted = "give the folder of a sweep or of several runs, such as outputs/sweeps/<time> or outputs/vae"
    if not folder.is_dir():
        raise UserError(f"run={folder}: there is no such folder; {wanted}")
    if is_sweep(folder) or any(map(is_run, folder.iterdir())):
        return
    if is_run(folder) or (folder / "checkpoints").exists():
        raise UserError(f"run={folder}: a single run; {wanted}")
    raise UserError(f"run={folder}: no runs are there; {wanted}")


def _plan(sweep: Path) -> tuple[dict[str, Any], str | None]:
    """Folder below the sweep -> configuration, of sweep.json; and what is wrong with it."""
    try:
        read = content(sweep / "sweep.json", LARGEST_PLAN)
        if read is None:
            return {}, None
        tree = parsed(read)
        if not isinstance(tree, dict) or tree.get("format") != 1 or not isinstance(tree.get("members"), list):
            raise ValueError("sweep.json: not one of this version of aetrain")
        found = [member for member in tree["members"] if isinstance(member, dict) and _is_below(member.get("folder"))]
        return {member["folder"]: member.get("config") for member in found}, None
    except UNREADABLE as error:
        return {}, f"Runs that have not started are not listed: {_line(error)}"


def _is_below(name: Any) -> bool:
    """Whether a folder's name stays below the sweep's folder."""
    try:
        if not isinstance(name, str) or not 0 < len(os.fsencode(name)) <= 1000 or "\0" in name:
            return False
    except UnicodeEncodeError:  # a lone surrogate
        return False
    path = PurePosixPath(name)
    return str(path) == name and not path.is_absolute() and not {".", ".."} & set(path.parts) and len(path.parts) < 9


def read(sweep: Path, name: str, planned: Any = None) -> Member:
    """What a run's files say, as far as they can be read. name: of its folder. planned: its configuration in
    sweep.json."""
    numbered = re.match(r"(\d{1,9})_", name)
    folder = sweep / name
    known: dict[str, Any] = {"folder": folder, "name": name, "number": int(numbered[1]) if numbered else None}
    above = [sweep.joinpath(*Path(name).parts[:i]) for i in range(1, len(Path(name).parts) + 1)]
    problems = []
    if any(path.is_symlink() for path in above):
        known["reason"], readers = "its folder is a link, which is not followed", [_planned]
    else:
        readers = [_planned, _config, _result, _progress, _explored]
    known["planned"] = planned
    for reader in readers:
        try:
            known |= reader(folder, known)
        except UNREADABLE as error:
            problems.append(_line(error))
    del known["planned"]
    if problems:
        done = known.get("status") == "done"
        told = [known["reason"]] if known.get("reason") else []
        known |= {"reason": "; ".join(told + problems)} | ({} if done else {"status": "unreadable"})
    return Member(**known)


def _line(error: BaseException) -> str:
    return clean(" ".join(str(error).split()))[:200]


def _planned(_folder: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    return {} if known["planned"] is None else {"config": configuration(known["planned"], "sweep.json")}


def _config(folder: Path, _known: Mapping[str, Any]) -> dict[str, Any]:
    path = folder / "config.yaml"
    return {"config": configuration(stored.read_yaml(path), path.name)} if path.exists() else {}


def configuration(tree: Any, where: str) -> dict[str, Value]:
    """Dotted keys, as they are called today. Raises ValueError."""
    try:
        if not isinstance(tree, dict):
            raise ValueError("it is not the configuration of a run")
        return flatten(stored.renamed(tree))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _result(folder: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    read = content(folder / "result.json", LARGEST)
    if read is None:
        return {}
    try:
        result = parsed(read)
    except ValueError as error:
        raise ValueError(f"result.json: not readable as JSON ({error})") from error
    if not isinstance(result, dict) or result.get("status") not in STATUSES:
        raise ValueError("result.json: not the result of a run")
    reason, latent = result.get("reason"), result.get("latent")
    latent = latent if isinstance(latent, dict) else {}
    rows = latent.get("correlation")
    correlation = tuple(map(_numbers, rows[:MOST_PAIRED])) if isinstance(rows, list) else ()
    is_square = all(len(row) == len(correlation) for row in correlation)
    return {
        "status": result["status"],
        "reason": clean(reason) if isinstance(reason, str) else known.get("reason"),
        "metrics": _metrics(result.get("metrics"), known.get("config", {})),
        "kl_per_dimension": _numbers(latent.get("kl_per_dimension")),
        "activation_per_unit": _numbers(latent.get("activation_per_unit")),
        "correlation": correlation if is_square else (),
        "step": int(step) if (step := number(result.get("step"))) is not None else None,
        "seconds": number(result.get("seconds")),
    }


def _explored(folder: Path, _known: Mapping[str, Any]) -> dict[str, Any]:
    return {"explorer": _explorer(folder)}


def _explorer(folder: Path) -> str | None:
    """The newest page of aetrain explore in a folder, through no link."""
    if not is_folder(folder):
        return None
    found = [(int(match[1]), path.name) for path in folder.iterdir()
             if (match := re.fullmatch(r"explore_([1-9]\d{0,8})", path.name)) and is_folder(path)
             and is_file(path / "explore.html")]  # fmt: skip
    return f"{max(found)[1]}/explore.html" if found else None


def _numbers(values: Any) -> tuple[float, ...]:
    """Of a list, 0 for what is none; nothing of anything else."""
    return tuple(number(v) or 0.0 for v in values[:MOST_KEYS]) if isinstance(values, list) else ()


def _progress(folder: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    """Of a run without a result: whether it runs, and the last value of every tag in metrics.jsonl."""
    if "status" in known:
        return {}
    running, end = is_locked(folder / ".lock"), tail(folder / "metrics.jsonl", TAIL)
    if end is None and not running and not is_file(folder / ".lock"):
        return {}
    latest: dict[str, Any] = {}
    for line in (end or b"").split(b"\n")[:-1]:  # what follows the last newline is still being written
        latest |= _row(line)
    step = number(latest.get("step"))
    return {
        "status": "running" if running else "stopped",
        "metrics": _metrics({tag: value for tag, value in latest.items() if "/" in tag}, known.get("config", {})),
        "step": None if step is None else int(step),
    }


def _row(line: bytes) -> dict[str, Any]:
    """A line of metrics.jsonl; nothing of one that is torn, as the first of a tail is."""
    try:
        row = parsed(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _metrics(tree: Any, config: Mapping[str, Value]) -> dict[str, float | None]:
    """Tag -> finite number or None, tags as they are called today: what the first generation called latent/<name> was
    measured on the validation split, and on the test split where there were no validation images."""
    pairs: Iterable[tuple[Any, Any]] = tree.items() if isinstance(tree, dict) else ()
    held_out = number(config.get("data.val_size"))
    split = None if held_out is None else "val" if held_out > 0 else "test"
    found, old = {}, {}
    for tag, value in list(pairs)[:MOST_KEYS]:
        tag = clean(str(tag))[:100]
        tag = re.sub(r"^(train|val|test)/weight_decay$", r"\1/l2", tag)
        tag = "hparam/l2_weight" if tag == "hparam/weight_decay" else tag
        new = re.sub(r"(^|/)latent/(?=\w+$)", rf"\1{split}/", tag) if split else tag
        (found if new == tag else old)[new] = number(value)
    return old | found


# The parser in C is ten times as fast; PyYAML comes without it on some platforms.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
