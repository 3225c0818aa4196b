"""Files that are either the old or the new, never half of one; and the reading of files that are someone else's."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def atomically(path: Path) -> Iterator[BinaryIO]:
    """A file that is written within and appears under its name at the end of the block, not at all if that raises.

    Temporary file in the same folder, fsync, rename, fsync of the folder: neither a reader nor a crash ever sees a
    part, and what was there before stays until the new content is on the disk. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with suppress(FileNotFoundError):
        temporary.unlink()  # half-written by a process of the same number; a link in its place is not followed
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with open(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """See `atomically`."""
    with atomically(path) as file:
        file.write(content)


def write_json(path: Path, tree: Any) -> None:
    """Strict JSON (no NaN), readable by people, written atomically."""
    write_atomically(path, (json.dumps(tree, indent=2, allow_nan=False) + "\n").encode())


def opened_regular(path: str | Path, follow: bool = False) -> BinaryIO:
    """A regular file to read, through a link only with `follow`. Raises OSError, for anything else, too: a pipe would
    be waited for, and a device has no end."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    mode = os.fstat(number).st_mode
    if stat.S_ISREG(mode):
        return open(number, "rb")
    os.close(number)
    code, what = (errno.EISDIR, "a folder") if stat.S_ISDIR(mode) else (errno.EINVAL, "not a regular file")
    raise OSError(code, what, str(path))


FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # what a spreadsheet computes begins so


def harmless(value: Any) -> Any:
    """A CSV file's cell: text that a spreadsheet would compute is marked as text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
