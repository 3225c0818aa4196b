"""The members of a sweep that differ only in hparams, trained as one model: see training/stacking.py."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.core.utils import JobStatus, run_job

from aetrain import device
from aetrain.config.schema import Config
from aetrain.console import MembersBar, OnlyAbout, about
from aetrain.data.load import load
from aetrain.errors import AetrainError, Interrupted
from aetrain.folder import LAST
from aetrain.jobs import Job, prepared
from aetrain.logs import log_file
from aetrain.sweeps import report
from aetrain.sweeps.launch.groups import bytes_per_member, free_memory, open_files, portions, structure, why_alone
from aetrain.sweeps.launch.launched import Launched, ended
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
from aetrain.training.out_of_memory import is_out_of_memory
from aetrain.training.signals import listening
from aetrain.training.stacking import Stack

log = logging.getLogger(__name__)

SECONDS_BETWEEN_REPORTS = 20


def run_stacked(members: Sequence[Launched], run_one: Callable[[Launched, MembersBar], None], hydra_context: Any,
                job: Job, memory_gb: float | None) -> None:  # fmt: skip
    """Fill in what every member returns: stacks first, then one after another what cannot be stacked."""
    stacks, alone = planned(members, memory_gb)
    with MembersBar(len(members)) as bar:
        for n, stack in enumerate(stacks):
            if n:
                report.refresh(stack[0].sweep)
            labels = [member.label for member in stack]
            log.info("a stack of %d: %s", len(stack), ", ".join(labels))
            with bar.part(labels):
                Stacked(stack, hydra_context).run()
            for member in stack:
                bar.share(member.label, 1)
                if bar.is_shown:
                    log.info("%s", ended(member))
        for member in alone:
            run_one(member, bar)


def planned(members: Sequence[Launched], memory_gb: float | None) -> tuple[list[list[Launched]], list[Launched]]:
    """Stacks of members with the same structure at the same step, small enough for the memory, and the members for
    which there is none."""
    groups: dict[tuple, list[Launched]] = {}
    alone, configs = [], {}
    for member in members:
        config = member.member.config
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
        most = _largest_stack(configs[key], memory_gb, len(group)) if len(group) > 1 else 1
        for part in portions(group, most):
            if len(part) > 1:
                stacks.append(part)
            else:
                alone += part
    return stacks, alone


def _next_step(config: Config, folder: Path) -> int | None:
    """The step at which a member continues; None for one that has nothing to do, or whose checkpoint is refused,
    which it says itself."""
    try:
        if not (folder / LAST).is_file():
            return None if is_done_for_good(config, folder) else 0
        state = load_state(config, folder)
    except AetrainError:
        return None
    return None if is_done(config, folder, state) else state["step"]


def _largest_stack(config: Config, memory_gb: float | None, wanted: int) -> int:
    """How many at a time; says in a line what keeps it below `wanted`."""
    where = device.resolve(config.device)
    try:
        splits = load(config.data, where)  # there, so that what is free is so beside the images
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return 1  # each then says so itself
    free = free_memory(where) if memory_gb is None else int(memory_gb * 1e9)
    room = {
        "fit into the memory": max(1, free // bytes_per_member(config, splits.facts())),
        "can have their files open (ulimit -n)": open_files(),
    }
    reason, most = min(room.items(), key=lambda item: item[1])
    if most < wanted:
        log.info("%d runs could be one stack: at most %d at a time %s", wanted, most, reason)
    return most


class Stacked:
    """One stack's members: each is prepared as a job of Hydra's, with folder and callbacks, then all are trained."""

    def __init__(self, members: Sequence[Launched], hydra_context: Any):
        self._launched = {launched.label: launched for launched in members}
        self._context, self._sweep = hydra_context, members[0].sweep
        self._reported = time.monotonic()
        self._outcomes: dict[str, float | Exception | None] = {}  # what a member returns or raises, by label

    def run(self) -> None:
        for launched in self._launched.values():
            launched.returned = run_job(
                task_function=lambda _config, launched=launched: prepared(launched.member, launched.sweep),
                config=launched.config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
                hydra_context=self._context,
            )
            if launched.returned.status == JobStatus.FAILED:
                self._outcomes[launched.label] = launched.returned._return_value
        is_too_large = self._train()
        for label, outcome in self._outcomes.items():
            returned, failed = self._launched[label].returned, isinstance(outcome, Exception)
            returned.status, returned.return_value = JobStatus.FAILED if failed else JobStatus.COMPLETED, outcome
        if is_too_large:
            self._halve()

    def _train(self) -> bool:
        """Train all members; every one of them has an outcome afterwards, or an Interrupted is raised. True where the
        memory does not hold them all: then those without one may still be trained as two stacks."""
        first = next(iter(self._launched.values())).member.config
        try:
            with self._logs(), explained(first, self._sweep):
                try:
                    self._train_stack(first)
                except RuntimeError as error:
                    if not is_out_of_memory(error) or len(self._launched) - len(self._outcomes) < 2:
                        raise
                    return True
        except Exception as error:  # of no member in particular: it ends all that have not come to an end
            for label in self._launched:
                self._outcomes.setdefault(label, error)
        return False

    def _halve(self) -> None:
        """Go on as two stacks, from the members' last checkpoints: of those that are at the same step."""
        gc.collect()  # what the error's frames have kept
        torch.cuda.empty_cache()
        left = [launched for label, launched in self._launched.items() if label not in self._outcomes]
        log.info("a stack of %d does not fit into the memory: as two", len(left))
        at: dict[int | None, list[Launched]] = {}
        for launched in left:
            at.setdefault(_next_step(launched.member.config, launched.folder), []).append(launched)
        for members in at.values():
            for part in portions(members, min(len(members), -(-len(left) // 2))):
                Stacked(part, self._context).run()

    def _train_stack(self, first: Config) -> None:
        if first.trainer.compile is True:
            log.info("trainer.compile=true: a stack runs eagerly")
        with listening() as requests, ExitStack() as folders:
            where = device.resolve(first.device)
            splits = load(first.data, where)
            trainings: dict[str, Training] = {}
            for label, launched in self._launched.items():
                if label in self._outcomes:
                    continue
                with about(label), self._failing(label):
                    config, folder = launched.member.config, launched.folder
                    state = load_state(config, folder) if (folder / LAST).is_file() else None
                    overrides = list(launched.member.overrides)
                    trainings[label] = folders.enter_context(
                        started(config, folder, overrides, splits, where, requests, state, True)
                    )
            if trainings:
                Stack(trainings).fit(self._conclude, self._give_up)
            requests.answer("the end", self._sweep)

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
        training.tested = None  # whose diagnostics lie on the device
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
            report.refresh(self._sweep)
            self._reported = time.monotonic()

    @contextmanager
    def _logs(self) -> Iterator[None]:
        """Within: each member's log file has the lines about it and those about all."""
        root, own = logging.getLogger(), []
        for label, launched in self._launched.items():
            if label not in self._outcomes:
                own.append(log_file(launched.folder))
                own[-1].addFilter(OnlyAbout(label))
        before, root.handlers = root.handlers, [*root.handlers, *own]
        try:
            yield
        finally:
            root.handlers = before
            for handler in own:
                handler.close()
