"""A task on a trained model: the model, its images, and where to write."""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from aetrain import device
from aetrain.config.schema.data import Data, Folder
from aetrain.config.tables import ON_RUNS
from aetrain.config.tree import plain
from aetrain.console import CountBar, Waiting, table
from aetrain.data.card import card
from aetrain.data.fitting import fitted, not_images
from aetrain.data.load import load, load_whole
from aetrain.data.split import UNLABELLED, Split, Splits
from aetrain.errors import RunFailed, UserError
from aetrain.models import Autoencoder
from aetrain.noise import mix
from aetrain.tasks.asked import Asked, Outcome
from aetrain.tasks.output import Output
from aetrain.training import checkpoint
from aetrain.training.loading import load_state, rebuilt
from aetrain.training.out_of_memory import is_out_of_memory
from aetrain.training.signals import listening
from aetrain.version import __version__

log = logging.getLogger(__name__)

MAIN = 6  # metrics that a table over several runs shows, where a task does not name them


class Chunk(NamedTuple):
    """Consecutive images of a split. x: (B, C, H, W) in [0, 1], y: labels (B,); start: the place of the first."""

    x: Tensor
    y: Tensor
    start: int


class Work:
    """What a task's `run` is given. main: names of its metrics for a table over several runs."""

    def __init__(self, asked: Asked, out: Output):
        self.asked, self.task, self.config, self.out = asked, asked.task, asked.config, out
        self.main: tuple[str, ...] = ()
        self.most: int | None = None  # images of the split, where a task took the first alone
        self.where = device.resolve(self.config.device)
        self.checkpoint, self._state = load_state(asked.run)
        self.model: Autoencoder = rebuilt(self._state, self.checkpoint, self.where)
        self.precision = device.Precision.of(self.config.device.precision, self.where)

    @property
    def batch_size(self) -> int:
        """Images at a time."""
        return self.task.batch_size or self.config.trainer.eval_batch_size

    @property
    def seed(self) -> int:
        """Of what the task draws."""
        return mix(self.asked.seed or 0, self.task.name)

    @property
    def step(self) -> int:
        """After which the weights were kept."""
        return self._state["step"]

    @property
    def run_seed(self) -> int:
        """The run's own, unless one was given: with it, an evaluation repeats the training's."""
        return self.config.seed if self.asked.seed is None else self.asked.seed

    @cached_property
    def splits(self) -> Splits:
        """The run's own images. Raises a UserError where they are not there, or others than were trained on."""
        checkpoint.check_content(self.checkpoint, self._state, self.config)
        own = self.config.data
        if own.binarization == "dynamic":  # in training alone: an evaluation of the training split must not vary
            own = dataclasses.replace(own, binarization="static")
        return self._fitting(load(own, self.where), own.name)

    @cached_property
    def _other_images(self) -> Data | None:
        """Their configuration, where others than the run's were named."""
        if self.asked.images is None:
            return None
        return fitted(self.asked.images, self.asked.given, self.config.data, self.model.facts.image_shape)

    @cached_property
    def _other(self) -> Splits:
        images = self._other_images
        if isinstance(images, Folder) and (line := not_images(Path(images.path))):
            log.info("%s", line)
        whole = self.split_name == "all"
        return self._fitting((load_whole if whole else load)(images, self.where), images.name)

    def loaded(self, images: Data) -> Splits:
        """Splits of other images of the run's own kind, such as its other classes."""
        return self._fitting(load(images, self.where), images.name)

    def _fitting(self, splits: Splits, name: str) -> Splits:
        wanted, found = self.model.facts.image_shape, splits.test.image_shape
        if tuple(found) != tuple(wanted):
            shown = " and ".join("x".join(map(str, shape)) for shape in (found, wanted))
            raise UserError(
                f"data={name}: its images and the model's have different shapes, {shown} (channels, height, width)"
            )
        return self._with_the_models_labels(splits, name) if self.config.model.needs_labels else splits

    def _with_the_models_labels(self, splits: Splits, name: str) -> Splits:
        """For a model that is given classes: every image with the label that its class had in training. Where one has
        none, a UserError is raised; a task with `any_class` is given labels of other classes after the model's."""
        told, known = f"model={self.config.model.name} is given the class of every image", self.class_names
        if (n := splits.unlabelled) and not self.task.any_class:
            raise UserError(f"data={name}: {told}, and {n:,} have none; label them")
        names = splits.classes or tuple(map(str, range(splits.n_classes)))
        if names == known:
            return splits
        unknown = tuple(one for one in names if one not in known)
        if unknown and not self.task.any_class:
            raise UserError(
                f"data={name}: {told}, and it was not trained on '{unknown[0]}'; choose others by data.classes"
            )
        known += unknown
        # The last entry is that of UNLABELLED, −1.
        table = torch.tensor([*(known.index(one) for one in names), UNLABELLED], device=self.where)
        parts = {part: getattr(splits, part).relabelled(table) for part in ("train", "val", "test")}
        return dataclasses.replace(splits, **parts, classes=known, n_classes=len(known))

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Of the classes that the model was trained on, by label; numbers where the images are gone that have them."""
        numbers = tuple(map(str, range(self.model.facts.n_classes)))
        try:
            found = card(self.asked.run.config.data).classes
        except UserError:
            return numbers
        return found if len(found) == len(numbers) else numbers

    @cached_property
    def split_name(self) -> str:
        if self.task.split is not None:
            return self.task.split
        other = self._other_images
        return "all" if other is not None and card(other).test is None else "test"

    @cached_property
    def split(self) -> Split:
        """The images that the task is about. Raises a UserError where there are none."""
        name = self.split_name
        if self.asked.images is not None:
            found = getattr(self._other, "test" if name == "all" else name)
        elif name == "all":
            found = self._fitting(load_whole(self.config.data, self.where), self.config.data.name).test
        else:
            found = getattr(self.splits, name)
        if not len(found):
            raise UserError(f"split={name}: there are no such images; give another, as in split=test")
        return found

    @property
    def around(self) -> Splits:
        """The splits that `split` is one of."""
        return self.splits if self.asked.images is None else self._other

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the images' classes, by label."""
        return self.around.classes

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the factors that the images were made from; empty where they are not known."""
        return self.around.factors

    def class_name(self, label: int) -> str:
        """Of one of the images' labels; empty where there is none."""
        classes = self.classes
        return "" if label < 0 else classes[label] if label < len(classes) else str(label)

    def chunks(self, split: Split, most: int | None = None) -> Iterator[Chunk]:
        """A split's images, or the first of them, with a progress bar. Within, the model's noise depends on the seed
        and on each image's place alone."""
        total, start = min(len(split), most or len(split)), 0
        self.most = most
        with CountBar(total, "images") as bar:
            for x, y in split.chunks(self.batch_size, most):
                with self.model.noise.fixed(self.seed, start), self.precision.autocast():
                    yield Chunk(x, y, start)
                start += len(x)
                bar.advance(len(x))

    @contextmanager
    def counted(self, split: Split, what: str) -> Iterator[Split]:
        """Within: a progress bar counts the images that are asked of the split in portions."""
        with CountBar(len(split), what) as bar:
            yield _Counted(split, bar)

    @contextmanager
    def said(self, what: str) -> Iterator[None]:
        """Within: what takes a while and cannot be counted is named, on a terminal."""
        with Waiting(what):
            yield

    def names(self, start: int, n: int) -> list[str]:
        """What n of the task's images are called."""
        return self.split.names(torch.arange(start, start + n, device=self.split.labels.device))


class _Counted:
    """A split that tells a bar how far its readers have come."""

    def __init__(self, split: Split, bar: CountBar):
        self._split, self._bar = split, bar

    def __len__(self) -> int:
        return len(self._split)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._split, name)

    def chunks(self, n: int, most: int | None = None):
        for batch in self._split.chunks(n, most):
            yield batch
            self._bar.advance(len(batch.x))


def do_task(asked: Asked, show: bool = False) -> Outcome:
    """One task on one run. show: its numbers on the terminal. Raises a UserError, RunFailed or Interrupted."""
    began, name = time.monotonic(), asked.task.name
    assert name in ON_RUNS
    with _explained(asked), listening():
        work = Work(asked, Output(asked.within or asked.run.folder, name, asked.out))
        metrics = _finite(import_module(f"aetrain.tasks.{name}").run(work))
        work.out.json(f"{name}.json", _record(work, metrics, time.monotonic() - began))
        if show:
            about = f"{work.split_name} split, {_images(work):,} images:" if _uses_images(work) else f"{name}:"
            log.info("%s", table(about, metrics)) if metrics else None
            log.info("%s", work.out.folder)
    return Outcome(work.out.folder, metrics, work.main or tuple(metrics)[:MAIN])


def _uses_images(work: Work) -> bool:
    return "split" in vars(work)


def _images(work: Work) -> int:
    """How many the task was done on."""
    return min(len(work.split), work.most or len(work.split))


def _finite(metrics: Mapping[str, float]) -> dict[str, float | None]:
    return {name: float(value) if math.isfinite(value) else None for name, value in metrics.items()}


def _record(work: Work, metrics: Mapping[str, float | None], seconds: float) -> dict[str, Any]:
    """<task>.json."""
    asked, images = work.asked, {}
    if _uses_images(work):
        data = asked.images or work.config.data
        images = {
            "data": data.name,
            "path": getattr(data, "path", None),
            "split": work.split_name,
            "n": _images(work),
        }
    return {
        "task": work.task.name,
        "run": str(asked.run.folder.resolve()),
        "weights": work.checkpoint.stem,
        "step": work.step,
        "images": images,
        "seed": asked.seed,
        "keys": plain(work.task),
        "metrics": dict(metrics),
        "device": {"name": str(work.where), "precision": work.precision.name, "threads": torch.get_num_threads()},
        "versions": {"aetrain": __version__, "torch": str(torch.__version__)},
        "seconds": round(seconds, 3),
    }


@contextmanager
def _explained(asked: Asked) -> Iterator[None]:
    """Turn what the machine refuses (space, memory) into one line. Raises RunFailed."""
    try:
        yield
    except OSError as error:
        raise RunFailed(
            f"{error.filename or asked.run.path}: {error.strerror or error}; make room, or give another out=…"
        ) from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise RunFailed(f"out of memory on {asked.config.device.name}; give a smaller batch_size=…") from error
