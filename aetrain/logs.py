"""Where a run's lines go: to the terminal as they are, and into its log file with their time, and tracebacks."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aetrain.console import ConsoleHandler
from aetrain.errors import UserError

NAME = "aetrain.log"


@contextmanager
def logged_to(folder: Path) -> Iterator[None]:
    """Within: this process logs to the terminal and into the folder's log file. Raises a UserError where that is a link
    or no file."""
    root, ours = logging.getLogger(), logging.getLogger("aetrain")
    before = root.handlers, root.level, ours.level
    root.handlers, handler = [_terminal()], _file(folder / NAME)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    ours.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.handlers = before[0]
        root.setLevel(before[1])
        ours.setLevel(before[2])
        handler.close()


def _terminal() -> logging.Handler:
    handler = ConsoleHandler(level=logging.INFO)
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


def _file(path: Path) -> logging.Handler:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        stream = open(os.open(path, flags, 0o666), "a", encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    handler = _Closing(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.setLevel(logging.DEBUG)
    return handler


class _Closing(logging.StreamHandler):
    """Closes its stream with itself."""

    def close(self) -> None:
        self.stream.close()
        super().close()
