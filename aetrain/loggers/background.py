"""A logger on a thread of its own: a service that is slow or away neither holds a run up nor ends it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

log = logging.getLogger(__name__)

PATIENCE = 60.0  # seconds for what is left to send at the end of a run
PATIENCE_INTERRUPTED = 3.0


class Logger(Protocol):
    """What a logger does. What it raises ends the logging, not the run."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """A scalar per tag."""

    def image(self, step: int, tag: str, png: bytes) -> None: ...

    def finish(self, status: str, metrics: Mapping[str, float]) -> None:
        """The run's end: done, failed or interrupted, with its last metrics."""

    def close(self) -> None: ...


class Background:
    """Passes everything on, in order. The first failure is told in one line and is the last thing that is tried."""

    def __init__(self, name: str, connect: Callable[[], Logger]):
        self._name, self._connect = name, connect
        self._calls: queue.SimpleQueue[tuple[str, tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._is_over = threading.Event()
        self._is_given_up = False
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._calls.put(("log", (step, dict(values))))

    def image(self, step: int, tag: str, png: bytes) -> None:
        self._calls.put(("image", (step, tag, png)))

    def finish(self, status: str, metrics: Mapping[str, float]) -> None:
        self._calls.put(("finish", (status, dict(metrics))))

    def close(self, interrupted: bool = False) -> None:
        """Wait until all is sent, but not for ever. A signal ends the wait."""
        self._calls.put(None)
        patience, began = PATIENCE_INTERRUPTED if interrupted else PATIENCE, time.monotonic()
        try:
            if not self._is_over.wait(min(1.0, patience)):
                log.info("waiting for %s, at most %.0f s …", self._name, patience)
                if not self._is_over.wait(patience - (time.monotonic() - began)):
                    log.warning("warning: %s: gave up after %.0f s, the end of the run is missing there",
                                self._name, patience)  # fmt: skip
        finally:
            self._is_given_up = True

    def _work(self) -> None:
        try:
            self._pass_on(self._connect())
        except Exception as error:  # whatever a service's client raises: none of it is worth a run
            if not self._is_given_up:
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                log.warning("warning: %s has failed, the run continues without it (%s)", self._name, reason)
        finally:
            self._is_over.set()
            while self._calls.get() is not None:  # what is no longer wanted takes no memory
                pass

    def _pass_on(self, logger: Logger) -> None:
        while (call := self._calls.get()) is not None:
            name, arguments = call
            getattr(logger, name)(*arguments)
            if self._is_given_up:
                break
        logger.close()
        self._calls.put(None)
