"""The members of a sweep, as their files tell of them. Imports no torch.

The files may be half-written, damaged or someone else's: whatever cannot be read makes the member say why, and stops
nothing. They are read as data, up to a size.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aetrain.errors import UserError

LARGEST = 4 << 20  # bytes of a file that is read as a whole
TAIL = 256 << 10  # bytes read from the end of metrics.jsonl
LONGEST = 2000  # characters of a text
LARGEST_NUMBER = 1e100
DEEPEST, MOST_KEYS = 8, 2000  # of a configuration
STATUSES = ("done", "failed", "interrupted")  # what result.json may say

Scalar = bool | int | float | str | None


@dataclass(frozen=True)
class Member:
    """One run of a sweep. metrics: None where a value is not finite."""

    folder: Path
    number: int | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Scalar] = field(default_factory=dict)  # dotted key -> value
    status: str = "waiting"  # done | failed | interrupted | running | stopped | waiting | unreadable
    reason: str | None = None
    step: int | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    kl_per_dimension: tuple[float, ...] = ()
    seconds: float | None = None

    @property
    def seed(self) -> Scalar:
        return self.value("seed")

    def value(self, key: str) -> Scalar:
        """Typed where the key is a leaf of the configuration, else from the override (model=vae), else None."""
        return self.config[key] if key in self.config else typed(self.overrides.get(key))


def find(sweep: Path) -> list[Member]:
    """All members below a sweep's folder, in the order of their numbers."""
    folders = [path for path in sweep.iterdir() if is_member(path)]
    return sorted(map(read, folders), key=lambda m: (m.number is None, m.number or 0, m.folder.name))


def is_member(folder: Path) -> bool:
    return folder.is_dir() and any((folder / name).exists() for name in (".hydra", "config.yaml", "result.json"))


def check_sweep(sweep: Path) -> None:
    """Raise a UserError for a folder that holds no sweep."""
    if not sweep.is_dir():
        raise UserError(f"sweep={sweep}: there is no such folder; give one such as outputs/sweeps/<time>")
    if (sweep / "config.yaml").exists() or (sweep / "checkpoints").exists():
        raise UserError(f"sweep={sweep}: a single run; give the folder of a sweep, such as outputs/sweeps/<time>")
    # Hydra's own sweeper writes multirun.yaml, others leave their members only.
    if not (sweep / "multirun.yaml").is_file() and not any(sweep.glob("[0-9]*_*/.hydra/overrides.yaml")):
        raise UserError(
            f"sweep={sweep}: no sweep is there (no multirun.yaml, no members); give a folder such as "
            "outputs/sweeps/<time>"
        )


def read(folder: Path) -> Member:
    """What a member's files say, as far as they can be read."""
    number = re.match(r"(\d{1,9})_", folder.name)
    known: dict[str, Any] = {"folder": folder, "number": int(number[1]) if number else None}
    problems = []
    for reader in (_overrides, _config, _result, _progress):
        try:
            known |= reader(folder, known)
        except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
            problems.append(" ".join(str(error).split())[:200])
    if problems:
        done = known.get("status") == "done"
        told = [known["reason"]] if known.get("reason") else []
        known |= {"reason": "; ".join(told + problems)} | ({} if done else {"status": "unreadable"})
    return Member(**known)


def _overrides(folder: Path, _known: Mapping[str, Any]) -> dict[str, Any]:
    content = _content(folder / ".hydra" / "overrides.yaml")
    if content is None:
        return {}
    words = yaml.load(content, _Loader)
    if not isinstance(words, list) or len(words) > MOST_KEYS or not all(isinstance(word, str) for word in words):
        raise ValueError(".hydra/overrides.yaml: not a list of overrides")
    pairs = (word.lstrip("+~").partition("=") for word in words)
    kept = {clean(key): clean(value) for key, _, value in pairs if not key.startswith("hydra")}
    return {"overrides": {key.partition("@")[0]: value for key, value in kept.items()}}


def _config(folder: Path, _known: Mapping[str, Any]) -> dict[str, Any]:
    content = _content(folder / "config.yaml")
    if content is None:
        return {}
    tree = yaml.load(content, _Loader)
    if not isinstance(tree, dict):
        raise ValueError("config.yaml: not a run's configuration")
    flat: dict[str, Scalar] = {}
    _flatten(tree, "", flat, 0)
    return {"config": flat}


def _flatten(tree: dict, path: str, flat: dict[str, Scalar], depth: int) -> None:
    """Dotted keys into `flat`. Bounded: YAML's aliases can make a small file a huge tree."""
    for key, value in tree.items():
        if len(flat) > MOST_KEYS or depth > DEEPEST:
            raise ValueError("config.yaml: more than a run's configuration")
        name = clean(f"{path}{key}")
        if isinstance(value, dict):
            _flatten(value, f"{name}.", flat, depth + 1)
        elif isinstance(value, list) and len(value) <= 100 and all(_is_scalar(v) for v in value):
            flat[name] = clean(f"[{','.join(map(str, value))}]")
        elif _is_scalar(value):
            flat[name] = clean(value) if isinstance(value, str) else value
        else:
            flat[name] = f"({type(value).__name__})"


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _result(folder: Path, _known: Mapping[str, Any]) -> dict[str, Any]:
    content = _content(folder / "result.json")
    if content is None:
        return {}
    try:
        result = json.loads(content)
    except ValueError as error:
        raise ValueError(f"result.json: not readable as JSON ({error})") from error
    if not isinstance(result, dict) or result.get("status") not in STATUSES:
        raise ValueError("result.json: not the result of a run")
    reason, latent = result.get("reason"), result.get("latent")
    per_dimension = latent.get("kl_per_dimension") if isinstance(latent, dict) else None
    return {
        "status": result["status"],
        "reason": clean(reason) if isinstance(reason, str) else None,
        "metrics": _numbers(result.get("metrics")),
        "kl_per_dimension": tuple(number(v) or 0.0 for v in per_dimension) if isinstance(per_dimension, list) else (),
        "step": int(step) if (step := number(result.get("step"))) is not None else None,
        "seconds": number(result.get("seconds")),
    }


def _progress(folder: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    """Of a member without a result: whether it runs, and the last value of every tag in metrics.jsonl."""
    if "status" in known:
        return {}
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return {}
    latest: dict[str, Any] = {}
    for line in _tail(path).split(b"\n")[:-1]:  # what follows the last newline is still being written
        row = _row(line)
        latest |= row
    step = number(latest.get("step"))
    return {
        "status": "running" if _is_running(folder / ".lock") else "stopped",
        "metrics": _numbers({tag: value for tag, value in latest.items() if "/" in tag}),
        "step": None if step is None else int(step),
    }


def _row(line: bytes) -> dict[str, Any]:
    """A line of metrics.jsonl; nothing of one that is torn, as the first of a tail is."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


def _is_running(lock: Path) -> bool:
    """Whether the process that a run's lock names is alive. The lock itself is not tried: a run that starts at that
    moment would find it taken."""
    content = _content(lock)
    if content is None or not re.fullmatch(rb"[1-9]\d{0,9}\s*", content):
        return False
    try:
        os.kill(int(content), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def typed(text: str | None) -> Scalar:
    """An override's value as a number where it reads as one."""
    for kind in (int, float):
        try:
            return kind(text)
        except (TypeError, ValueError):
            continue
    return text


def number(value: Any) -> float | None:
    """A finite float, or None for anything else. Beyond LARGEST_NUMBER, squares would overflow."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -LARGEST_NUMBER < value < LARGEST_NUMBER else None  # false for NaN


def clean(text: str) -> str:
    """Text that every encoding and font can take: no surrogates, no control characters, of a bounded length."""
    encodable = text[:LONGEST].encode("utf-8", "replace").decode()
    return "".join(c if c.isprintable() else " " for c in encodable)


def _numbers(tree: Any) -> dict[str, float | None]:
    pairs: Iterable[tuple[Any, Any]] = tree.items() if isinstance(tree, dict) else ()
    return {clean(tag)[:100]: number(value) for tag, value in list(pairs)[:MOST_KEYS]}


def _content(path: Path) -> bytes | None:
    """A small file's bytes; None if there is none. Raises ValueError for a large one."""
    if not path.is_file():
        return None
    with open(path, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"{path.name}: larger than {LARGEST >> 20} MiB")
    return content


def _tail(path: Path) -> bytes:
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        return file.read(TAIL)


# The parser in C is ten times as fast; PyYAML comes without it on some platforms.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
