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

from aetrain.errors import UserError

LARGEST = 64 << 20  # bytes of a JSON file


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


def read_bytes(path: Path, most: int) -> bytes:
    """A regular file's content, through no link. Raises a UserError, also for a file that is larger than `most`."""
    try:
        with opened_regular(path) as file:
            content = file.read(most + 1)
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise UserError(f"{path}: cannot be read ({getattr(error, 'strerror', error)})") from error
    if len(content) > most:
        raise UserError(f"{path}: larger than {most >> 10} KiB")
    return content


def parsed(content: str | bytes) -> Any:
    """Plain values of JSON. Raises ValueError, also for what is nested too deeply for Python."""
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_json(path: Path, most: int = LARGEST) -> Any:
    """Plain values in a JSON file, which is read as `read_bytes` says. Raises a UserError."""
    try:
        return parsed(read_bytes(path, most))
    except ValueError as error:
        raise UserError(f"{path}: not readable as JSON ({str(error)[:120]})") from error


FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # what a spreadsheet computes begins so


def harmless(value: Any) -> Any:
    """A CSV file's cell: text that a spreadsheet would compute is marked as text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
