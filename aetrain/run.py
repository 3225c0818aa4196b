"""A run's folder and everything that is written into it, and what a logger beside it gets. The training code does not
know TensorBoard."""

from __future__ import annotations

import csv
import json
import math
import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from torch import Tensor
from torch.utils.tensorboard import summary as summaries

from aetrain import locks
from aetrain.config.tree import as_yaml, config_hash, flatten, in_short, plain
from aetrain.data.card import content_sum
from aetrain.errors import UserError
from aetrain.events import EventFile
from aetrain.files import write_atomically, write_json
from aetrain.folder import check_links, continued
from aetrain.loggers.background import Background
from aetrain.loggers.connect import connected
from aetrain.version import __version__

APPENDED = (
    "metrics.jsonl",
    "results.csv",
    "events.out.tfevents.*",
)  # the files that grow; all others are replaced as a whole


class Run:
    """Writes TensorBoard events, metrics.jsonl, grids and result.json below `folder`, once open. A context manager.

    Raises a UserError where another process writes into the folder.
    """

    def __init__(self, folder: Path, config: Any, overrides: list[str]):
        self.folder, self.config, self.overrides = folder, config, overrides
        check_links(folder)
        self._lock = _lock(folder)
        self._metrics: Any = None
        self._events: EventFile | None = None
        self._loggers: list[Background] = []

    def open(self, position: Mapping[str, int] | None = None, step: int = 0) -> Run:
        """Begin to write. position: of `position()` at the checkpoint from which a run continues, after `step` steps;
        what was appended after it is cut off. Without one, nothing is kept of an earlier attempt that wrote no
        checkpoint.

        Raises a UserError where a run with a checkpoint would be overwritten."""
        folder = self.folder
        if position is None and (folder / "checkpoints" / "last.pt").exists():
            raise UserError(f"{folder}: a run is there; continue it with {continued(folder)} or give another folder")
        for sub in ("checkpoints", "grids"):
            (folder / sub).mkdir(parents=True, exist_ok=True)
        if (folder / "config.yaml").exists():  # the folder is a run's, not one that just has such files
            _cut(folder, position or {})
            for half_written in [p for sub in (".", "checkpoints", "grids") for p in (folder / sub).glob(".*.tmp")]:
                half_written.unlink()
            (folder / "result.json").unlink(missing_ok=True)
        write_atomically(folder / "config.yaml", as_yaml(plain(self.config)))
        self._metrics = open(folder / "metrics.jsonl", "a", encoding="utf-8")  # noqa: SIM115
        self._events = EventFile(folder, step)
        self._loggers = connected(self.config, folder)
        if position is None:
            self.text(0, "run", self._card())
        return self

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            for logger in self._loggers:
                logger.close(interrupted=kind is not None)
        finally:
            for file in (self._metrics, self._events, self._lock):
                if file is not None:
                    file.close()

    def _card(self) -> str:
        """The command and the configuration, for TensorBoard's text page; indented, Markdown shows it as it is."""
        lines = [shlex.join(["aetrain", *self.overrides]), "", *in_short(self.config, 100).split("\n")]
        return "\n".join(f"    {line}" for line in lines)

    def position(self) -> dict[str, int]:
        """Bytes of each file that grows, all of them on the disk: a checkpoint that holds this can be trusted to find
        them there, even after a power cut."""
        sizes = {}
        for path in _appended(self.folder):
            with open(path, "rb") as file:
                os.fsync(file.fileno())
            sizes[path.name] = path.stat().st_size
        return sizes

    def log(self, step: int, epoch: float, values: Mapping[str, float]) -> None:
        """One line of metrics.jsonl and one event with a scalar per tag."""
        self._metrics.write(json.dumps({"step": step, "epoch": round(epoch, 6), **_strict(values)}) + "\n")
        self._metrics.flush()
        self._events.add(Summary(value=[Summary.Value(tag=tag, simple_value=v) for tag, v in values.items()]), step)
        for logger in self._loggers:
            logger.log(step, values)

    def epoch(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """A row of results.csv, below the columns that its first row has."""
        path, row = self.folder / "results.csv", {"epoch": epoch, "step": step, **values}
        with open(path, "a+", encoding="utf-8", errors="replace", newline="") as file:  # as another program left it
            file.seek(0)
            columns = []
            with suppress(csv.Error):
                columns = next((cells for cells in csv.reader(file) if cells and cells[0] == "epoch"), [])
            file.seek(0, os.SEEK_END)
            writer = csv.writer(file, lineterminator="\n")
            if not columns:
                writer.writerow(columns := list(row))
            writer.writerow([row.get(column, "") for column in columns])

    def epochs(self) -> list[dict[str, float]]:
        """The rows of results.csv that have their epoch, leaving out what is not a number."""
        path = self.folder / "results.csv"
        with (
            suppress(FileNotFoundError, csv.Error),
            open(path, encoding="utf-8", errors="replace", newline="") as file,
        ):
            return [row for row in map(_numbers, csv.DictReader(file)) if math.isfinite(row.get("epoch", math.nan))]
        return []

    def picture(self, name: str, png: bytes) -> None:
        """A PNG beside the others' folder."""
        write_atomically(self.folder / name, png)

    def text(self, step: int, tag: str, markdown: str) -> None:
        self._events.add(summaries.text(tag, markdown), step)

    def histogram(self, step: int, tag: str, values: Tensor) -> None:
        self._events.add(Summary(value=[Summary.Value(tag=tag, histo=_histogram(values))]), step)

    def grid(self, step: int, epoch: int, name: str, png: bytes, height: int, width: int, channels: int) -> None:
        """The same PNG as a file and as a TensorBoard image."""
        write_atomically(self.folder / "grids" / f"{name}_{epoch:04d}.png", png)
        image = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=png)
        # TensorBoard sorts by name, and what a run's outcome looks like comes before what its weights look like.
        tag = f"weights/{name}" if name == "filters" else f"grids/{name}"
        self._events.add(Summary(value=[Summary.Value(tag=tag, image=image)]), step)
        for logger in self._loggers:
            logger.image(step, tag, png)

    def pictures(self) -> list[str]:
        """The latest of each kind, as seen from the folder."""
        latest = {path.stem.rpartition("_")[0]: path for path in sorted((self.folder / "grids").glob("*_*.png"))}
        curves = [path for path in [self.folder / "curves.png"] if path.exists()]
        return [str(path.relative_to(self.folder)) for path in [*curves, *latest.values()]]

    def finish(self, step: int, status: str, metrics: Mapping[str, float], seconds: float, **more: Any) -> None:
        """result.json, and the run's row in TensorBoard's HParams table."""
        if status == "done":
            self._hparams_row(step, metrics)
        write_json(
            self.folder / "result.json",
            {
                "status": status,
                "step": step,
                "metrics": _strict(metrics),
                **more,
                "overrides": self.overrides,
                "config_hash": config_hash(self.config, content_sum(self.config.data)),
                "versions": {"aetrain": __version__, "torch": str(torch.__version__)},
                "seconds": round(seconds, 3),
            },
        )
        for logger in self._loggers:
            logger.finish(status, metrics)

    def _hparams_row(self, step: int, metrics: Mapping[str, float]) -> None:
        # Values that TensorBoard cannot show (lists, None) become text, so that all members of a sweep have the same
        # keys. The first of the three summaries would fix the table's columns to this run's; without it they are the
        # union over all runs. In the run's own folder: a sub-run would show twice.
        values = {
            key: value if isinstance(value, bool | int | float | str) else json.dumps(value)
            for key, value in flatten(plain(self.config)).items()
            if key != "data.root" and not key.startswith("logger.")
        }
        _, start, end = summaries.hparams(values, dict(metrics))
        self._events.add(start, step)
        self._events.add(end, step)


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """Of a table's row, which another program may have changed."""
    found = {}
    for tag, text in row.items():
        with suppress(ValueError, TypeError):  # TypeError: a list, of what is beyond the columns
            found[tag] = float(text)
    return found


def _strict(values: Mapping[str, float]) -> dict[str, float | None]:
    """JSON has no NaN and no infinity: such a metric is null, so that any reader can read the line."""
    return {tag: value if math.isfinite(value) else None for tag, value in values.items()}


def _histogram(values: Tensor) -> HistogramProto:
    """64 bins of equal width over the finite values, counted where they lie (not by torch.histc, which has no
    deterministic kernel on a GPU)."""
    finite = values.detach().flatten().float()
    finite = finite[finite.isfinite()]
    if not len(finite):
        return HistogramProto()
    low, high = finite.aminmax()
    places = ((finite - low) * (64 / (high - low).clamp(min=torch.finfo(finite.dtype).tiny))).long().clamp(0, 63)
    counts = torch.zeros(64, dtype=torch.int64, device=places.device)
    counts.index_add_(0, places, torch.ones_like(places))
    squares = torch.linalg.vector_norm(finite, dtype=torch.float64).square()
    least, most, total, squares = torch.stack([low, high, finite.sum(dtype=torch.float64), squares]).tolist()
    edges = np.linspace(least, most, 65) if most > least else least + np.linspace(-0.5, 0.5, 65)
    return HistogramProto(
        min=least, max=most, num=len(finite), sum=total, sum_squares=squares,
        bucket_limit=edges[1:].tolist(), bucket=counts.tolist(),
    )  # fmt: skip


def _lock(folder: Path):
    """The folder's lock, held as long as the file is open."""
    folder.mkdir(parents=True, exist_ok=True)
    file = open(folder / ".lock", "a+", encoding="utf-8")  # noqa: SIM115
    if not locks.take(file.fileno(), str(folder)):
        file.seek(0)
        owner = file.read().strip()
        file.close()
        raise UserError(
            f"{folder}: process {owner or '?'} is writing there; wait for it, stop it, or give another hydra.run.dir=…"
        )
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _appended(folder: Path) -> list[Path]:
    return sorted(path for pattern in APPENDED for path in folder.glob(pattern))


def _cut(folder: Path, position: Mapping[str, int]) -> None:
    """Bring every file that grows back to its length at the checkpoint. Raises a UserError before it changes any."""
    sizes = {path: position.get(path.name) for path in _appended(folder)}
    for path, size in sizes.items():
        if size is not None and path.stat().st_size < size:
            raise UserError(f"{path}: shorter than at the checkpoint, something else has changed it; start a new run")
    for path, size in sizes.items():
        if size is None:
            path.unlink()
        else:
            os.truncate(path, size)
