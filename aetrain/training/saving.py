"""When a training writes last.pt and best.pt, and what they hold when a signal has broken in."""

from __future__ import annotations

import logging
import math
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from aetrain.errors import Interrupted, RunFailed, UserError
from aetrain.training import checkpoint, state
from aetrain.training.divergence import check_finite
from aetrain.training.state import Training

log = logging.getLogger(__name__)


class Checkpoints:
    """A training's."""

    def __init__(self, training: Training):
        # Not a circle: what a training holds on a GPU would stay there until the collector comes along.
        self._training: Training = weakref.proxy(training)
        self._folder = training.run.folder / "checkpoints"
        self._saves = 0  # of last.pt
        self._broken_off = False  # whether last.pt is of the state before a block that a signal has broken off
        self.saved_at = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether last.pt is older than trainer.checkpoint_minutes."""
        return time.monotonic() - self.saved_at > 60 * self._training.config.trainer.checkpoint_minutes

    def save(self, *names: str) -> None:
        """Write <name>.pt for each name, one after another, unless the numbers have gone wrong: RunFailed."""
        check_finite(self._training)
        with self._training.requests.deferred():
            self._write(names, state.capture(self._training))

    def _write(self, names: Sequence[str], content: dict[str, Any]) -> None:
        checkpoint.save([self._folder / f"{name}.pt" for name in names], content)
        if "last" in names:
            self.saved_at = time.monotonic()
            self._saves += 1

    @contextmanager
    def interruptible(self, everything: bool = False) -> Iterator[None]:
        """Within, a signal raises Interrupted at once. What the block has done by then is undone in last.pt, which is
        of the state before it, unless the block has written a newer one. everything: whether it changes weights."""
        before, saves = state.frozen(self._training, everything), self._saves
        try:
            with self._training.requests.at_once():
                yield
        except Interrupted:
            if self._saves == saves:
                self._broken_off = True
                if self._training.step > 0:  # of step 0 there is one, from before the first validation
                    with suppress(RunFailed):
                        check_finite(self._training)
                        self._write(["last"], before)
            raise

    def save_interrupted(self) -> None:
        """last.pt of a training that something else has interrupted, a member of its stack say."""
        training = self._training
        if training.step > 0 and not self._broken_off and (training.pending or not training.finished):
            self.save("last")

    def has_best(self) -> bool:
        return (self._folder / "best.pt").exists()

    def load_best(self) -> None:
        """Give the model the weights of the best epoch."""
        best = checkpoint.load(self._folder / "best.pt", self._training.device)
        self._training.model.load_state_dict(best["model"])

    def mend_best(self) -> None:
        """Make best.pt the weights of the best epoch that this run, as its last checkpoint has it, knows of."""
        training, path = self._training, self._folder / "best.pt"
        best, now = training.best, math.ceil(training.epoch)
        if not best["epoch"] or (not path.exists() and training.config.trainer.test != "best" and best["epoch"] != now):
            return
        with suppress(UserError):
            found = checkpoint.load(path).get("best")  # of anyone's making
            if isinstance(found, dict) and all(_is_number(found.get(k)) and found[k] == best[k] for k in best):
                return
        if best["epoch"] == now and not training.pending:
            self.save("best")
            return
        log.warning(
            "warning: %s is not of the best epoch, %d: the search for the best starts over here", path, best["epoch"]
        )
        training.best = {"val/loss": math.inf, "epoch": 0}


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)
