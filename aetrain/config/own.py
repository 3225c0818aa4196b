"""The user's own YAML: which values its files set. They are checked like those of the command line."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml


def files(folders: Iterable[str], experiment: str | None, primary: str | None) -> list[Path]:
    """The files of the user's own that choose values, in these folders: of an experiment, and the one that -cn names.

    An option of a group gives defaults, of which some may have no effect: it is not one of them."""
    named = [f"experiment/{experiment}" if experiment else None, primary if primary != "config" else None]
    paths = [Path(folder, f"{name}.yaml") for folder in folders for name in named if name]
    return [path for path in paths if path.is_file()]


def keys(path: Path, root: Path, depth: int = 0) -> list[str]:
    """The dotted keys that a file sets, and those of the files beside it that its defaults name."""
    with open(path, encoding="utf-8") as file:
        tree = yaml.load(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}
    if not isinstance(tree, dict):
        return []
    found = [key for key in _flat(tree) if not key.startswith(("hydra.", "defaults"))]
    for default in tree.get("defaults") or []:
        if isinstance(default, str) and default != "_self_" and depth < 8:
            beside = (root if default.startswith("/") else path.parent) / f"{default.lstrip('/')}.yaml"
            found += keys(beside, root, depth + 1) if beside.is_file() else []
    return found


def _flat(tree: dict[Any, Any], path: str = "") -> list[str]:
    return [
        key
        for name, value in tree.items()
        for key in (_flat(value, f"{path}{name}.") if isinstance(value, dict) else [f"{path}{name}"])
    ]


def undecodable(error: UnicodeDecodeError, words: Iterable[str]) -> str:
    """The line about a YAML file that is not UTF-8, in a folder that the command line names."""
    folders = [folder for word in words for folder in (word, word.partition("=")[2]) if os.path.isdir(folder)]
    for path in (path for folder in folders for path in Path(folder).glob("**/*.yaml") if path.is_file()):
        if error.object in path.read_bytes():
            return f"{path}: not UTF-8; save it as UTF-8"
    return "a file of your YAML is not UTF-8; save it as UTF-8"
