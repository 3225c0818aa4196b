"""Files that are either the old or the new, never half of one."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Temporary file in the same folder, fsync, rename, fsync of the folder: neither a reader nor a crash ever sees a
    part, and what was there before stays until the new content is on the disk. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with suppress(FileNotFoundError):
        temporary.unlink()  # half-written by a process of the same number; a link in its place is not followed
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
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


def write_json(path: Path, tree: Any) -> None:
    """Strict JSON (no NaN), readable by people, written atomically."""
    write_atomically(path, (json.dumps(tree, indent=2, allow_nan=False) + "\n").encode())
