"""Signals end a run at once, but for its training steps and the writing of its checkpoints."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from aetrain.errors import EXIT_CODES, Interrupted
from aetrain.surroundings import is_importing

log = logging.getLogger(__name__)


class Requests:
    """What has been asked for. SIGINT, SIGTERM and SIGHUP raise Interrupted where they meet the program; within
    `deferred` they wait, and `stop` says which has come."""

    def __init__(self) -> None:
        self.stop: signal.Signals | None = None  # SIGINT, SIGTERM or SIGHUP: write a checkpoint and end
        self.checkpoint = False  # SIGUSR1: write a checkpoint and go on
        self._waits = False  # within `deferred`
        self._raised = False

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        if number == signal.SIGUSR1:
            self.checkpoint = True
        elif self.stop is None:
            self.stop = signal.Signals(number)
            if not self._waits and not is_importing(frame):  # else it waits for whoever asks next
                self._raise()
        elif number == signal.SIGINT:
            raise KeyboardInterrupt  # a second Ctrl-C stops at once

    def __bool__(self) -> bool:
        return self.stop is not None or self.checkpoint

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within: a signal waits for the end of the block, or for who asks for `stop`."""
        before, self._waits = self._waits, True
        try:
            yield
        finally:
            self._waits = before
        if self.stop is not None and not self._waits and not self._raised:
            self._raise()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within, also within `deferred`: a signal raises Interrupted, and so does one that has been waiting."""
        before, self._waits = self._waits, False
        try:
            if self.stop is not None:
                self._raise()
            yield
        finally:
            self._waits = before

    def answer(self, where: str, folder: Path) -> None:
        """After the checkpoint: go on, or raise Interrupted."""
        if self.checkpoint:
            self.checkpoint = False
            log.info("SIGUSR1 at %s: checkpoint written", where)
        if self.stop is not None:
            raise self.interrupted(where, folder)

    def interrupted(self, where: str, folder: Path) -> Interrupted:
        """What ends a run, with what its user types to go on. To be raised."""
        self._raised = True
        return Interrupted(
            f"{self.stop.name} at {where}: checkpoint written; continue with aetrain resume={folder}",
            EXIT_CODES[self.stop],
        )

    def _raise(self) -> None:
        self._raised = True
        raise Interrupted(f"{self.stop.name}: stopped", EXIT_CODES[self.stop])


@contextmanager
def listening() -> Iterator[Requests]:
    """Within: SIGINT, SIGTERM, SIGHUP and SIGUSR1 go to the Requests instead of ending the process."""
    requests = Requests()
    if threading.current_thread() is not threading.main_thread():  # Python allows handlers in the main thread only
        yield requests
        return
    # Who starts a run in the background of a script has its SIGINT ignored: that stays so. SIGUSR1 is ignored by the
    # command line itself until there is something to write.
    heard = [n for n in EXIT_CODES if signal.getsignal(n) is not signal.SIG_IGN] + [signal.SIGUSR1]
    before = {number: signal.signal(number, requests.receive) for number in heard}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
