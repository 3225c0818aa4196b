"""Whether a run may write into a folder. Imports no torch: it is asked before the first byte is written."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aetrain.errors import RunFailed, UserError

LAST = Path("checkpoints", "last.pt")
MARK = ".lock"  # what every run leaves, and no other tool under this name beside a config.yaml
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENOENT,
           errno.EINVAL)  # fmt: skip
FOLDERS = ("checkpoints", "grids", ".hydra")
FILES = (MARK, "config.yaml", "metrics.jsonl", "results.csv", "curves.png", "result.json", "aetrain.log",
         "events.out.tfevents.*", "profile.txt", "profile.json", "logger.jsonl")  # fmt: skip


def continued(folder: Path) -> str:
    """The command that goes on with the run or the sweep, as a shell takes it."""
    return f"aetrain resume={shlex.quote(str(folder))}"


@contextmanager
def begins_in(folder: Path) -> Iterator[None]:
    """Within: what the system refuses of a folder in which a run or a sweep begins is one line. Raises a UserError
    where another folder helps, and RunFailed for the rest, such as a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise  # the command line has words for it
        where = f"{error.filename or folder}: the folder cannot be used ({error.strerror})"
        another = "another with hydra.run.dir=… or hydra.sweep.dir=…"
        if error.errno in REFUSED:
            raise UserError(f"{where}; choose {another}") from error
        room = "make room, or " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise RunFailed(f"{where}; {room}choose {another}") from error


def check_new(folder: Path) -> None:
    """Raise a UserError unless the folder is new, empty, or that of a run that has written no checkpoint."""
    with begins_in(folder):
        there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        if not there.is_dir():
            raise UserError(f"{there}: no folder, where a run's would be made; move it away, or give another folder")
        if there == folder:
            _check_free(folder)


def _check_free(folder: Path) -> None:
    if (folder / LAST).exists() or ((folder / "result.json").exists() and is_ours(folder)):
        raise UserError(f"{folder}: a run is there; continue it with {continued(folder)} or give another folder")
    if any(folder.iterdir()) and not is_ours(folder):
        raise UserError(f"{folder}: not empty, and not a run's; give a new folder, as in hydra.run.dir={folder}/new")
    check_links(folder)


def is_ours(folder: Path) -> bool:
    """Whether a run of aetrain has begun there."""
    names = {path.name for path in folder.iterdir()}
    return MARK in names or (folder / LAST).is_file() or names <= {".hydra", "aetrain.log"}


def discard(folder: Path) -> None:
    """Remove the folder of a run that has written nothing but how it was called."""
    with suppress(OSError):  # what the run has said counts more
        if {path.name for path in folder.iterdir()} <= {".hydra", "aetrain.log"}:  # a lock may be another run's
            for path in [*(folder / ".hydra").glob("*"), folder / "aetrain.log"]:
                path.unlink(missing_ok=True)
            (folder / ".hydra").rmdir()
            folder.rmdir()


def check_links(folder: Path) -> None:
    """Raise a UserError where something that a run writes to or deletes is a link or of another kind: what it points to
    would be overwritten, in a folder that may be someone else's."""
    for name in (*FOLDERS, "wandb"):
        _check(folder / name, stat.S_ISDIR)
    for pattern in FILES:
        # A name without a wildcard is not asked of glob, which does not see a link to what is not there yet.
        for path in folder.glob(pattern) if "*" in pattern else [folder / pattern]:
            _check(path, stat.S_ISREG)
    for path in (path for name in FOLDERS if (folder / name).is_dir() for path in (folder / name).iterdir()):
        _check(path, stat.S_ISREG)


def _check(path: Path, is_kind) -> None:
    try:
        status = path.lstat()
    except OSError:
        return
    if not is_kind(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink > 1):
        what = "a link" if stat.S_ISLNK(status.st_mode) or status.st_nlink > 1 else "something else than a run leaves"
        raise UserError(f"{path}: refused, it is {what}; nothing was written")


def begun(folder: Path) -> bool:
    """Whether a run there has written a checkpoint or its result."""
    return (folder / LAST).is_file() or ((folder / "result.json").is_file() and is_ours(folder))


def make(folder: Path) -> None:
    """The folder and those above it. Raises a UserError or RunFailed."""
    with begins_in(folder):
        folder.mkdir(parents=True, exist_ok=True)
