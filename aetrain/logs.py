"""Where a run's lines go: to the terminal as they are, and into its log file with their time, and tracebacks."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aetrain.console import ConsoleHandler
from aetrain.errors import AetrainError, Interrupted, UserError

log = logging.getLogger(__name__)

NAME = "aetrain.log"


@contextmanager
def logged_to(folder: Path) -> Iterator[None]:
    """Within: this process logs to the terminal and into the folder's log file, at the end also what ended the run.
    Raises a UserError where the file is a link or none."""
    root, ours = logging.getLogger(), logging.getLogger("aetrain")
    before = root.handlers, root.level, ours.level
    file = log_file(folder)
    shown = [] if any(isinstance(handler, ConsoleHandler) for handler in root.handlers) else [_terminal()]
    root.handlers = [*root.handlers, *shown, file]
    root.setLevel(min(before[1], logging.INFO))
    ours.setLevel(logging.DEBUG)
    try:
        with _told():
            yield
    finally:
        root.handlers = before[0]
        root.setLevel(before[1])
        ours.setLevel(before[2])
        file.close()


@contextmanager
def _told() -> Iterator[None]:
    """Within: what ends a run is in its log file. The terminal has it on stderr."""
    try:
        yield
    except (AetrainError, Interrupted) as error:
        log.debug("%s", error)
        raise
    except Exception:
        log.debug("a bug", exc_info=True)
        raise


@contextmanager
def shown() -> Iterator[None]:
    """Within: this process logs to the terminal."""
    root, ours = logging.getLogger(), logging.getLogger("aetrain")
    before = root.handlers, ours.level
    root.handlers = [
        *root.handlers,
        *([] if any(isinstance(h, ConsoleHandler) for h in root.handlers) else [_terminal()]),
    ]
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers = before[0]
        ours.setLevel(before[1])


def _terminal() -> logging.Handler:
    handler = ConsoleHandler(level=logging.INFO)
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


def log_file(folder: Path) -> logging.Handler:
    """A handler that appends to the folder's log. Raises a UserError where that is a link or no file."""
    path = folder / NAME
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        stream = open(os.open(path, flags, 0o666), "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
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
