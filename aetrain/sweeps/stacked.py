"""The members of a sweep that differ only in hparams, trained as one model: see training/stacking.py.

Every member is a job of Hydra's, with its own folder, configuration and callbacks: the jobs are nested, and the stack
trains inside the innermost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.core.utils import run_job
from omegaconf import DictConfig

from aetrain import device
from aetrain.cli import LAST, Member, reported
from aetrain.compose import check, without_hydra
from aetrain.console import OnlyAbout, about
from aetrain.data.load import load
from aetrain.errors import AetrainError, Interrupted
from aetrain.sweeps import report
from aetrain.sweeps.groups import bytes_per_member, free_memory, portions, structure, why_alone
from aetrain.sweeps.launcher import Launched
from aetrain.tasks.train import (
    conclude,
    explained,
    is_done,
    is_done_for_good,
    load_state,
    objective,
    started,
    tell,
    write_off,
)
from aetrain.training.loop import Training
from aetrain.training.signals import listening
from aetrain.training.stacking import Stack

log = logging.getLogger(__name__)

SECONDS_BETWEEN_REPORTS = 20


def run_stacked(members: Sequence[Launched], run_one: Callable[[Launched], None], hydra_context: Any,
                swept: Sequence[str], memory_gb: float | None) -> None:  # fmt: skip
    """Fill in what every member returns: stacks first, then one after another what cannot be stacked."""
    stacks, alone = planned(members, memory_gb)
    for stack in stacks:
        log.info("a stack of %d: %s", len(stack), ", ".join(member.label for member in stack))
        Nest(stack, hydra_context, swept).run()
    for member in alone:
        run_one(member)


def planned(members: Sequence[Launched], memory_gb: float | None) -> tuple[list[list[Launched]], list[Launched]]:
    """Stacks of members with the same structure at the same step, small enough for the memory, and the members for
    which there is none."""
    groups: dict[tuple, list[Launched]] = {}
    alone, configs = [], {}
    for member in members:
        config = _checked(member)
        if reason := why_alone(config):
            log.info("%s: alone, %s", member.label, reason)
        step = None if reason else _next_step(config, member.folder)
        if step is None:
            alone.append(member)
        else:
            key = (structure(config), step)
            configs[key] = config
            groups.setdefault(key, []).append(member)
    stacks = []
    for key, group in groups.items():
        most = _largest_stack(configs[key], memory_gb) if len(group) > 1 else 1
        if most < len(group):
            log.info("%d members could be one stack: at most %d at a time fit into the memory", len(group), most)
        for part in portions(group, most):
            if len(part) > 1:
                stacks.append(part)
            else:
                alone += part
    return stacks, alone


def _checked(member: Launched) -> Any:
    """The member's typed configuration."""
    return check(without_hydra(member.config), list(member.config.hydra.overrides.task))


def _next_step(config: Any, folder: Path) -> int | None:
    """Where a member goes on; None for one that has nothing to do, or whose checkpoint is refused: it will say so."""
    try:
        if not (folder / LAST).is_file():
            return None if is_done_for_good(config, folder) else 0
        state = load_state(config, folder)
    except AetrainError:
        return None
    return None if is_done(config, folder, state) else state["step"]


def _largest_stack(config: Any, memory_gb: float | None) -> int:
    splits = load(config.data, torch.device("cpu"))
    free = free_memory(device.resolve(config.device)) if memory_gb is None else int(memory_gb * 1e9)
    return max(1, free // bytes_per_member(config, splits.facts()))


class Nest:
    """One stack's jobs of Hydra, each inside the one before it."""

    def __init__(self, members: Sequence[Launched], hydra_context: Any, swept: Sequence[str]):
        self._launched, self._context, self._swept = members, hydra_context, swept
        self._members: dict[str, Member] = {}  # by label
        self._reported = time.monotonic()
        self._outcomes: dict[str, float | Exception | None] = {}  # what a member returns or raises

    def run(self, depth: int = 0) -> None:
        if depth == len(self._launched):
            self._train()
            return
        launched = self._launched[depth]

        def job(config: DictConfig) -> float | None:
            self._members[launched.label] = Member.of(config, self._swept)
            self.run(depth + 1)
            outcome = self._outcomes[launched.label]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        launched.returned = run_job(
            task_function=job,
            config=launched.config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=self._context,
        )

    def _train(self) -> None:
        """Train all members; every one of them has an outcome afterwards, or an Interrupted is raised."""
        first = next(iter(self._members.values()))
        try:
            with _logs(self._members), reported(first.sweep), explained(first.config, first.sweep):
                self._train_stack(first)
        except Exception as error:  # of no member in particular: it ends all that have not come to an end
            for label in self._members:
                self._outcomes.setdefault(label, error)

    def _train_stack(self, first: Member) -> None:
        if first.config.trainer.compile:
            log.info("trainer.compile=true: a stack runs eagerly")
        with listening() as requests, ExitStack() as folders:
            where = device.resolve(first.config.device)
            splits = load(first.config.data, where)
            trainings: dict[str, Training] = {}
            for label, member in self._members.items():
                with about(label), self._failing(label):
                    state = load_state(member.config, member.folder) if member.resumed else None
                    trainings[label] = folders.enter_context(
                        started(member.config, member.folder, member.overrides, splits, where, requests, state, True)
                    )
            if trainings:
                Stack(trainings).fit(self._conclude, self._give_up)
            requests.answer("the end", first.sweep)

    @contextmanager
    def _failing(self, label: str) -> Iterator[None]:
        try:
            yield
        except AetrainError as error:
            log.debug("%s", error)
            self._outcomes[label] = error

    def _conclude(self, label: str, training: Training) -> None:
        metrics = conclude(training)
        tell(training, metrics)
        self._outcomes[label] = objective(training.config, metrics)
        self._refresh_report()

    def _give_up(self, label: str, training: Training, error: AetrainError | Interrupted) -> None:
        log.debug("%s", error)
        write_off(training, error)
        if isinstance(error, AetrainError):
            self._outcomes[label] = error
            self._refresh_report()

    def _refresh_report(self) -> None:
        """Not for every one of those that end together: they are all in it at the end."""
        if time.monotonic() - self._reported > SECONDS_BETWEEN_REPORTS:
            report.refresh(next(iter(self._members.values())).sweep)
            self._reported = time.monotonic()


@contextmanager
def _logs(members: Mapping[str, Member]) -> Iterator[None]:
    """Within: each member's log file has the lines about it and those about all. Hydra has left the last job's."""
    root = logging.getLogger()
    files = [handler for handler in root.handlers if isinstance(handler, logging.FileHandler)]
    own = []
    for label, member in members.items():
        for file in files:
            handler = logging.FileHandler(member.folder / Path(file.baseFilename).name)
            handler.setFormatter(file.formatter)
            handler.setLevel(file.level)
            handler.addFilter(OnlyAbout(label))
            own.append(handler)
    root.handlers = [*(handler for handler in root.handlers if handler not in files), *own]
    try:
        yield
    finally:
        root.handlers = [*(handler for handler in root.handlers if handler not in own), *files]
        for handler in own:
            handler.close()
