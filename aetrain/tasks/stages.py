"""For tasks with several trainings, each in a run folder of its own below the task's."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from aetrain.config.schema.task import Train
from aetrain.data.split import Splits
from aetrain.errors import Interrupted
from aetrain.tasks import train
from aetrain.training.loop import Training
from aetrain.training.signals import Requests, listening


def stage_config(config, **model_values: Any):
    """The configuration of a plain training with other values for the model."""
    return dataclasses.replace(
        config, model=dataclasses.replace(config.model, **model_values), task=Train(name="train")
    )


class Stages:
    """Trains one stage after another below `folder`; on resuming, a stage goes on from its last checkpoint."""

    def __init__(self, folder: Path, where: torch.device, requests: Requests, resumed: bool):
        self.folder, self.where, self.requests, self.resumed = folder, where, requests, resumed

    def train(self, name: str, config, splits: Splits) -> tuple[Training, dict[str, float]]:
        folder = self.folder / name
        started = self.resumed and (folder / "checkpoints" / "last.pt").exists()
        state = train.load_state(config, folder) if started else None
        return train.fit(config, folder, [], splits, self.where, self.requests, state)


@contextmanager
def stages(config, folder: Path, where: torch.device, resumed: bool) -> Iterator[Stages]:
    """Within, an interruption names the task's folder as the one to resume, not the stage's."""
    with train.explained(config, folder), listening() as requests:
        try:
            yield Stages(folder, where, requests, resumed)
        except Interrupted as error:
            line = str(error).partition("; continue with")[0]
            raise Interrupted(f"{line}; continue with aetrain resume={folder}", error.exit_code) from error
