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
from aetrain.folder import continued
from aetrain.surroundings import is_importing

log = logging.getLogger(__name__)

USER = (signal.SIGUSR1, signal.SIGUSR2)
SOON = 0.05  # seconds


class Requests:
    """What has been asked for. SIGINT, SIGTERM and SIGHUP raise Interrupted where they meet the program; within
    `deferred` they wait, and `stop` says which has come."""

    def __init__(self) -> None:
        self.stop: signal.Signals | None = None  # a signal that ends the run: write a checkpoint and end
        self.checkpoint = False  # SIGUSR1: write a checkpoint and go on
        self._waits = False  # within `deferred`
        self._raised = False

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        if number == signal.SIGUSR1:
            self.checkpoint = True
        else:
            self.stop_for(number, frame)

    def stop_for(self, number: int, frame: FrameType | None = None) -> None:
        if self.stop is None:
            self.stop = signal.Signals(number)
            self._answer(frame)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt  # a second Ctrl-C stops at once

    def _answer(self, frame: FrameType | None) -> None:
        """Raise Interrupted, unless whoever asks next is waited for; while a module is imported, look again soon."""
        if self._waits or self._raised:
            return
        if not is_importing(frame):
            self._raise()
        if signal.getsignal(signal.SIGALRM) is signal.SIG_DFL:  # else it is someone's, and who asks next answers
            signal.signal(signal.SIGALRM, self._look_again)
            signal.setitimer(signal.ITIMER_REAL, SOON)

    def _look_again(self, _number: int, frame: FrameType | None) -> None:
        self.forget_alarm()
        self._answer(frame)

    def forget_alarm(self) -> None:
        """Leave SIGALRM as it was."""
        if signal.getsignal(signal.SIGALRM) == self._look_again:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

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
            f"{self.stop.name} at {where}: checkpoint written; continue with {continued(folder)}",
            128 + self.stop,
        )

    def _raise(self) -> None:
        self._raised = True
        raise Interrupted(f"{self.stop.name}: stopped", 128 + self.stop)


@contextmanager
def listening() -> Iterator[Requests]:
    """Within: SIGINT, SIGTERM, SIGHUP and SIGUSR1 go to the Requests instead of ending the process.

    A cluster's launcher handles signals itself. SIGUSR1 or SIGUSR2, of which submitit takes one for the end of a job's
    time, then stops the run as SIGTERM does, and its handler, which puts the job back into the queue, is called when
    the checkpoint is written. The others stay the launcher's."""
    requests = Requests()
    if threading.current_thread() is not threading.main_thread():  # Python allows handlers in the main thread only
        yield requests
        return
    theirs = {number: signal.getsignal(number) for number in (*EXIT_CODES, *USER) if _is_foreign(number)}
    handed_over = {number: handler for number, handler in theirs.items() if number in USER}
    # Who starts a run in the background of a script has its SIGINT ignored: that stays so. SIGUSR1 is ignored by the
    # command line itself until there is something to write.
    ours = [n for n in EXIT_CODES if signal.getsignal(n) is not signal.SIG_IGN and n not in theirs]
    receivers = dict.fromkeys((*ours, signal.SIGUSR1), requests.receive) | dict.fromkeys(handed_over, requests.stop_for)
    before = {number: signal.signal(number, receiver) for number, receiver in receivers.items()}
    ended = True
    try:
        yield requests
    except Exception:  # of its own: it is not to be begun again
        ended = False
        raise
    finally:
        requests.forget_alarm()
        for number, handler in before.items():
            signal.signal(number, handler)
        if ended and requests.stop in handed_over:
            handed_over[requests.stop](requests.stop, None)


def _is_foreign(number: int) -> bool:
    """Whether someone else has installed a handler."""
    handler = signal.getsignal(number)
    return callable(handler) and not (
        handler is signal.default_int_handler or str(getattr(handler, "__module__", "")).startswith("aetrain.")
    )
