"""`latest` in place of a folder: the run or sweep that was begun last. What resume=, run= and init= share. Imports no
torch."""

from __future__ import annotations

import re
from pathlib import Path

from aetrain.errors import UserError

OUTPUTS = Path("outputs")
BEGUN = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?(_.*)?")  # the folders' names, which sort by time


def named(key: str, word: str, sweeps: bool = False) -> Path:
    """The folder or file that `key=word` names: `latest` is the newest folder below outputs/, `latest:vae` below
    outputs/vae/, and ~ the home folder. sweeps: `latest` is the newest sweep. Raises a UserError."""
    word = word.strip("'\"")
    first, colon, kind = word.partition(":")
    if first != "latest" or (colon and not kind):
        return path_of(key, word)
    kind = kind or ("sweeps" if sweeps else "*")
    found = [path for path in OUTPUTS.glob(f"{kind}/*/") if BEGUN.fullmatch(path.name)] if is_plain(kind) else []
    found = [path for path in found if _is_begun(path)]
    if not found:
        where = OUTPUTS / kind if kind != "*" else OUTPUTS
        raise UserError(f"{key}={word}: nothing has been trained below {where}/; give a folder, as in {key}=runs/mine")
    return max(found, key=lambda path: path.name)


def _is_begun(folder: Path) -> bool:
    """Whether it holds a run or runs; the folder of one that was broken off while it was composed does not."""
    if any((folder / name).exists() for name in ("config.yaml", "sweep.json", "multirun.yaml")):
        return True
    return any((run / "config.yaml").exists() for run in folder.iterdir() if run.name != ".hydra")


def path_of(key: str, word: str) -> Path:
    """The path of `key=word`, or of a word without a key, without quotes, ~ being the home folder. Raises a
    UserError."""
    try:
        return Path(word.strip("'\"")).expanduser()
    except RuntimeError as error:
        raise UserError(f"{f'{key}=' if key else ''}{word}: there is no such user's home folder") from error


def is_plain(kind: str) -> bool:
    """Whether this is the name of one folder, or all of them."""
    return kind == "*" or re.fullmatch(r"\w[\w.-]*", kind) is not None
