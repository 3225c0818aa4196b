"""A run's folder and everything that is written into it. The training code does not know TensorBoard."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams as hparams_summaries

from aetrain import __version__
from aetrain.config import config_hash, flatten, plain
from aetrain.files import write_atomically, write_json

log = logging.getLogger(__name__)


class Run:
    """Writes TensorBoard events, metrics.jsonl, grids and result.json below `folder`. A context manager."""

    def __init__(self, folder: Path, config: Any, overrides: list[str]):
        self.folder, self.config, self.overrides = folder, config, overrides
        for sub in ("checkpoints", "grids"):
            (folder / sub).mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(plain(config))).encode())
        self._events = SummaryWriter(str(folder))
        self._metrics = open(folder / "metrics.jsonl", "a", encoding="utf-8")  # noqa: SIM115

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self._metrics.close()
        self._events.close()

    def log(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """One line of metrics.jsonl and one event with a scalar per tag."""
        # JSON has no NaN: a metric that is none is null there, so that any reader can read the line.
        row = {tag: value if value == value and abs(value) != float("inf") else None for tag, value in values.items()}
        self._metrics.write(json.dumps({"step": step, "epoch": round(epoch, 6), **row}) + "\n")
        self._metrics.flush()
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
        self._events.file_writer.add_summary(summary, step)

    def histogram(self, step: int, tag: str, values: Tensor) -> None:
        self._events.add_histogram(tag, values.float().cpu(), step)

    def grid(self, step: int, epoch: int, name: str, png: bytes, height: int, width: int) -> None:
        """The same PNG as a file and as a TensorBoard image."""
        write_atomically(self.folder / "grids" / f"{name}_{epoch:04d}.png", png)
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        summary = Summary(value=[Summary.Value(tag=f"grids/{name}", image=image)])
        self._events.file_writer.add_summary(summary, step)

    def finish(self, step: int, status: str, metrics: Mapping[str, float], seconds: float, **more: Any) -> None:
        """result.json, and the run's row in TensorBoard's HParams table."""
        if status == "done":
            self._hparams_row(step, metrics)
        write_json(
            self.folder / "result.json",
            {
                "status": status,
                "step": step,
                "metrics": dict(metrics),
                **more,
                "overrides": self.overrides,
                "config_hash": config_hash(self.config),
                "versions": {"aetrain": __version__, "torch": str(torch.__version__)},
                "seconds": round(seconds, 3),
            },
        )

    def _hparams_row(self, step: int, metrics: Mapping[str, float]) -> None:
        # Values that TensorBoard cannot show (lists, None) become text, so that all members of a sweep have the same
        # keys. The first of the three summaries would fix the table's columns to this run's; without it they are the
        # union over all runs. In the run's own folder: a sub-run would show twice.
        values = {
            key: value if isinstance(value, bool | int | float | str) else json.dumps(value)
            for key, value in flatten(plain(self.config)).items()
            if key != "data.root"
        }
        _, start, end = hparams_summaries(values, dict(metrics))
        for summary in (start, end):
            self._events.file_writer.add_summary(summary, step)
