"""For tasks with several trainings, each in a run folder of its own below the task's."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from aetrain import device
from aetrain.config.schema.task.train import Train
from aetrain.config.tree import config_hash
from aetrain.data.card import content_sum
from aetrain.data.split import Splits
from aetrain.errors import AetrainError, Interrupted
from aetrain.folder import continued
from aetrain.models import Autoencoder
from aetrain.run import Run
from aetrain.tasks import train
from aetrain.training.loading import load_model
from aetrain.training.signals import Requests, listening

log = logging.getLogger(__name__)


def stage_config(config, **model_values: Any):
    """The configuration of a plain training with other values for the model."""
    return dataclasses.replace(
        config, model=dataclasses.replace(config.model, **model_values), task=Train(name="train")
    )


class Stages:
    """Trains one stage after another below `folder`. On resuming, a stage that is done is read back, and one that was
    interrupted continues from its last checkpoint."""

    def __init__(self, config, folder: Path, requests: Requests, resumed: bool):
        self.config, self.folder, self.requests, self.resumed = config, folder, requests, resumed
        self.where = device.resolve(config.device)
        self._started, self._is_done = time.monotonic(), False

    def train(self, name: str, config, splits: Splits) -> tuple[Autoencoder, dict[str, float]]:
        """The stage's model, with the weights that were tested, and its metrics."""
        folder = self.folder / name
        started = self.resumed and (folder / "checkpoints" / "last.pt").exists()
        state = train.load_state(config, folder) if started else None
        if state and train.is_done(config, folder, state):
            return load_model(folder, str(self.where)), train.result(folder)["metrics"]
        training, metrics = train.fit(config, folder, [], splits, self.where, self.requests, state)
        return training.model, metrics

    @contextmanager
    def writing(self, overrides: list[str]) -> Iterator[dict[str, float]]:
        """Within, what the task finds out is collected; at the end it is written into the task's folder."""
        metrics: dict[str, float] = {}
        with Run(self.folder, self.config, overrides).open() as out:
            try:
                yield metrics
                with self.requests.deferred():
                    out.log(0, 0, metrics)
                    out.finish(0, "done", metrics, self._seconds())
                    self._is_done = True
            except (AetrainError, Interrupted) as error:
                if not self._is_done:
                    status = "interrupted" if isinstance(error, Interrupted) else "failed"
                    with suppress(OSError):  # a full disk may be the very reason
                        out.finish(0, status, metrics, self._seconds(), reason=str(error))
                raise

    def _seconds(self) -> float:
        return time.monotonic() - self._started


def done(config, folder: Path) -> dict[str, float] | None:
    """The metrics of a task that has finished with this configuration: it stays done."""
    found = train.result(folder)
    if found["status"] != "done" or found.get("config_hash") != config_hash(config, content_sum(config.data)):
        return None
    log.info("nothing to do: %s is done", folder)
    return found["metrics"]


@contextmanager
def stages(config, folder: Path, resumed: bool) -> Iterator[Stages]:
    """Within, an interruption names the task's folder as the one to resume, not the stage's."""
    with train.explained(config, folder), listening() as requests:
        try:
            yield Stages(config, folder, requests, resumed)
        except Interrupted as error:
            line = str(error).partition("; continue with")[0]
            raise Interrupted(f"{line}; continue with {continued(folder)}", error.exit_code) from error
