"""What a sweep is: its members' resolved configurations and folders, in sweep.json.

A member is what it holds, not how it was typed: `1` and `1.0` are one. The file is written before the first member
starts and read as data, as everything on disk is. Sweeps of 0.1, which have none, are read from their members' own
config.yaml. Imports no torch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from aetrain import locks
from aetrain.config import stored
from aetrain.config.schema import Config
from aetrain.config.schema.logger import Logger
from aetrain.config.tree import identity, plain
from aetrain.errors import UserError
from aetrain.files import read_json, write_json
from aetrain.folder import is_ours

NAME = "sweep.json"
FORMAT = 1
LARGEST = 64 << 20  # bytes of sweep.json


@dataclass(frozen=True)
class Member:
    """One run of a sweep. folder: its name below the sweep's. config: as composed, before a launcher gives it threads
    or a device. overrides: as typed, for result.json and labels."""

    folder: str
    config: Config
    overrides: tuple[str, ...] = ()

    @property
    def number(self) -> int:
        """Of `<n>_<overrides>`; -1 for a folder of another form."""
        found = re.match(r"(\d{1,9})_", self.folder)
        return int(found[1]) if found else -1

    def logged_to(self, logger: Logger) -> Member:
        """The same with the logger that the user asks for: what is stored says nothing of one."""
        return replace(self, config=replace(self.config, logger=logger))

    def on_gpu(self, index: int) -> Member:
        """The same on this GPU of the machine."""
        return replace(self, config=replace(self.config, device=replace(self.config.device, index=index)))


@dataclass(frozen=True)
class Sweep:
    """launch: how it was launched, as far as that is harmless to take over: see LAUNCH."""

    members: tuple[Member, ...]
    launch: Mapping[str, str | int | float]

    def find(self, config: Config) -> Member | None:
        """The member with this configuration."""
        wanted = identity(config)
        return next((member for member in self.members if identity(member.config) == wanted), None)


# What a resumed sweep takes over of how it was launched: the launcher, and of each its keys. The rest is given again:
# some of it, such as the shell commands of a job on a cluster, runs code.
LAUNCH: dict[str, dict[str, Any]] = {
    "aetrain": {"mode": ("auto", "stack", "processes", "sequential"), "workers": int, "memory_gb": float},
    "basic": {},
    "joblib": {"n_jobs": int},
}


def is_sweep(folder: Path) -> bool:
    """Whether this is the folder of a sweep and not of a run."""
    if (folder / NAME).is_file() or (folder / "multirun.yaml").is_file():
        return True
    return not (folder / "config.yaml").exists() and any(folder.glob("[0-9]*_*/config.yaml"))


def read(folder: Path) -> Sweep:
    """The sweep in a folder; one without members where there is none yet. Raises a UserError, one line."""
    path = folder / NAME
    if not path.exists() and not path.is_symlink():
        return Sweep(_of_the_first_generation(folder), {})
    try:
        content = read_json(path, LARGEST)
        if not isinstance(content, dict) or content.get("format") != FORMAT or not isinstance(content["members"], list):
            raise ValueError("it is not of a format that this version of aetrain reads")
        members = tuple(_member(entry, path) for entry in content["members"])
        if len({member.folder for member in members}) != len(members):
            raise ValueError("two runs share a folder")
        return Sweep(members, _launch(content.get("launch")))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: refused, {error}") from error


def _member(entry: Any, path: Path) -> Member:
    folder, overrides = entry["folder"], entry.get("overrides", [])
    if not isinstance(overrides, list) or not all(isinstance(word, str) for word in overrides):
        raise ValueError("a run's overrides are not words")
    check_name(folder)
    return Member(folder, stored.build(entry["config"], str(path)), tuple(overrides))


def check_name(folder: Any) -> None:
    """Raise ValueError unless this names a folder inside the sweep's."""
    parts = PurePosixPath(folder).parts if isinstance(folder, str) and folder.isprintable() else ()
    if not parts or folder.startswith("/") or ".." in parts or parts == (".",) or len(folder) > 1000:
        raise ValueError(f"{str(folder)[:40]!r} is no folder inside the sweep's")
    if any(len(os.fsencode(part)) > 255 for part in parts):
        raise ValueError("a name of more than 255 bytes, which no file system takes")


def _launch(content: Any) -> dict[str, str | int | float]:
    """What of it LAUNCH allows."""
    launcher = content.get("launcher") if isinstance(content, dict) else None
    if not isinstance(launcher, str) or launcher not in LAUNCH:
        return {}
    found = {"launcher": launcher}
    for key, kind in LAUNCH[launcher].items():
        value = content.get(key)
        is_fit = value in kind if isinstance(kind, tuple) else type(value) in (int, kind)
        if is_fit:
            found[key] = value
    return found


def _of_the_first_generation(folder: Path) -> tuple[Member, ...]:
    """By number. What never started has no config.yaml and is not known."""
    found = []
    for path in folder.glob("[0-9]*_*/config.yaml") if folder.is_dir() else ():
        if is_ours(path.parent) and not path.parent.is_symlink():
            found.append(Member(path.parent.name, stored.read(path), ()))
    return tuple(sorted(found, key=lambda member: member.number))


def add(folder: Path, members: Sequence[Member], launch: Mapping[str, Any]) -> None:
    """Write members into the folder's sweep.json, beside those that are there. Processes take turns; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with _turn(folder):
        known = read(folder)
        ours = {member.folder for member in known.members}
        entries = [*known.members, *(member for member in members if member.folder not in ours)]
        write_json(
            folder / NAME,
            {
                "format": FORMAT,
                "launch": dict(launch) or dict(known.launch),
                "members": [
                    {"folder": m.folder, "overrides": list(m.overrides), "config": plain(m.config)} for m in entries
                ],
            },
        )


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    lock = os.open(folder / ".sweep.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        locks.wait_for(lock)
        yield
    finally:
        os.close(lock)


def name(number: int, overrides: Sequence[str], swept: Sequence[str]) -> str:
    """`<n>_<overrides>`, a short folder name that every file system takes: what is swept first, then the rest; values
    before groups."""
    kept = [o for o in overrides if not re.match(r"[+~]*(data\.root|hydra)\b", o)]

    def order(override: str) -> tuple[bool, bool, str]:
        key = override.lstrip("+~").partition("=")[0]
        return key not in swept, "." not in key, override

    text = re.sub(r"[^\w.=,+-]+", "_", ",".join(sorted(kept, key=order)))
    return f"{number}_{text[:120].rstrip('._') or 'default'}"
