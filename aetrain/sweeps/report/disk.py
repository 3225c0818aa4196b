"""The files of a sweep's folder, which may be anyone's: no link in it is followed, for reading, writing or deleting."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from aetrain import locks
from aetrain.errors import UserError
from aetrain.files import opened_regular

WRITTEN = ("report.html", "report.csv", "report.json")
HALF_WRITTEN = re.compile(r"\.(report\.(html|csv|json)|[\w.-]+\.png)\.\d+\.tmp")


def is_folder(path: Path) -> bool:
    """Whether a folder is there, and no link to one."""
    return stat.S_ISDIR(_mode(path))


def is_file(path: Path) -> bool:
    """Whether a regular file is there, and no link to one."""
    return stat.S_ISREG(_mode(path))


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except (OSError, ValueError):  # ValueError: a null byte in the name
        return 0


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file to read. Raises OSError, and ValueError for a link, a pipe, a folder."""
    try:
        opened = opened_regular(path)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.EINVAL):  # a link, a socket, …
            raise ValueError(f"{path.name}: not a regular file, so it is not read") from error
        raise
    with opened as file:
        yield file


def content(path: Path, most: int) -> bytes | None:
    """A file's bytes; None if there is none. Raises OSError, and ValueError for one larger than `most`."""
    try:
        with opened(path) as file:
            read = file.read(most + 1)
    except FileNotFoundError:
        return None
    if len(read) > most:
        raise ValueError(f"{path.name}: larger than {most >> 20} MiB")
    return read


def tail(path: Path, size: int) -> bytes | None:
    """The last bytes of a file; None if there is none."""
    try:
        with opened(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read(size)
    except FileNotFoundError:
        return None


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock that a run keeps as long as it writes. Its content, a process number, says
    nothing: containers and other hosts reuse them."""
    with suppress(OSError, ValueError), opened(path) as file:
        return locks.is_held(file.fileno())
    return False


@contextmanager
def turn(sweep: Path) -> Iterator[None]:
    """Within, no other process writes this report. Raises OSError, and a UserError for a lock that is no file."""
    path = sweep / ".report.lock"
    _check(path, is_file)
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        locks.wait_for(lock)
        yield
    finally:
        os.close(lock)


def check_targets(sweep: Path, plots: Iterable[str] = ()) -> None:
    """Raise a UserError where a file of the report would replace something that is not one, or go through a link."""
    for name in WRITTEN:
        _check(sweep / name, is_file)
    _check(sweep / "report", is_folder)
    for name in plots:
        _check(sweep / "report" / name, is_file)


def _check(path: Path, kind) -> None:
    if os.path.lexists(path) and not kind(path):
        what = "a link" if path.is_symlink() else f"not a {'folder' if kind is is_folder else 'regular file'}"
        raise UserError(f"{path}: {what}, so the report is not written; move it away")


def remove_half_written(sweep: Path) -> None:
    """What reports that were interrupted left of files under their temporary names."""
    for folder in (sweep, sweep / "report"):
        if is_folder(folder) or folder == sweep:
            for path in folder.iterdir():
                if HALF_WRITTEN.fullmatch(path.name) and is_file(path):
                    path.unlink(missing_ok=True)
