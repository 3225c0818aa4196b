"""What the process finds around it: streams that are closed, a reader that leaves, signals."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from aetrain.errors import EXIT_CODES, Interrupted


def open_closed_streams() -> None:
    """Let what was started without stdin, stdout or stderr (`>&-`) have the null device there: the next file that is
    opened would take its number, and everything that is printed."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)  # by the processes of a sweep's members
        if getattr(sys, name) is None:
            stream = open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def escape_unwritable() -> None:
    """Let stdout and stderr show an escape for what their encoding does not take: an accent in ASCII, or a byte of a
    file's name that is no UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Within: nothing more is said when whoever reads stdout has left, as in `aetrain --help | head`."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)  # Python flushes what is left when it ends
        os.close(null)


def is_importing(frame: FrameType | None) -> bool:
    """Whether what runs in a frame is the import of a module. An exception that is raised there can be lost, or abort
    the process: torch's own C++ code runs Python's, and does not expect one."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within: SIGINT, SIGTERM and SIGHUP raise Interrupted; the first process of a container would not hear them at
    all. What is ignored, as under nohup, stays so. While a module is imported they end the process there and then."""
    came: list[int] = []

    def end(number: int, frame: FrameType | None = None) -> None:
        came.append(number)
        message = f"{signal.Signals(number).name}: stopped"
        if is_importing(frame):
            os.write(2, f"aetrain: {message}\n".encode())
            os._exit(EXIT_CODES[number])
        raise Interrupted(message, EXIT_CODES[number])

    usual = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in EXIT_CODES if signal.getsignal(number) in usual}
    if threading.current_thread() is not threading.main_thread():  # Python allows handlers in the main thread only
        before = {}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    except Exception:
        if came:  # it met a library that was not ready for it
            end(came[0])
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
