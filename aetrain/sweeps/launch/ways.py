"""How the members of a sweep are run: one after another, in processes side by side, or stacked as one model.

On disk all ways leave the same. Imports no torch: in processes, only the members need it.
"""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from omegaconf import DictConfig, open_dict

from aetrain.compose import given_keys, typed_out
from aetrain.config.words import suggest
from aetrain.console import MembersBar, printable
from aetrain.device import cpu_quota, cuda_device_count
from aetrain.errors import AetrainError, UserError
from aetrain.jobs import Job, without_hydras
from aetrain.sweeps.launch.launched import Launched, ended
from aetrain.sweeps.members import LAUNCH

log = logging.getLogger(__name__)

MODES = LAUNCH["aetrain"]["mode"]
OF_A_STACK = 1.5  # how long a stack takes, in runs of one: 32 betas took 1.9


def check_ways(mode: Any, workers: Any, memory_gb: Any) -> None:
    """Raise a UserError for values that the launcher cannot use."""
    if mode not in MODES:
        raise UserError(f"hydra.launcher.mode={mode}: {suggest(str(mode), MODES)}")
    if workers is not None and not (type(workers) is int and workers > 0):
        raise UserError(f"hydra.launcher.workers={workers}: give a whole number greater than 0")
    if memory_gb is not None and not (type(memory_gb) in (int, float) and memory_gb > 0):
        raise UserError(f"hydra.launcher.memory_gb={memory_gb}: give a number greater than 0")


class Sweep:
    """The members of one launch. mode, workers and memory_gb: see hydra_plugins/aetrain_launcher.py."""

    def __init__(self, config: DictConfig, hydra_context: Any, job: Job, mode: str, workers: int | None,
                 memory_gb: float | None):  # fmt: skip
        self.config, self.context, self.job = config, hydra_context, job
        self.mode, self.workers, self.memory_gb = mode, workers, memory_gb

    def run(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
        """What each member returned, in order. A member that fails with an AetrainError does not stop the others."""
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        launched = [self._launched(list(overrides), number) for number, overrides in enumerate(job_overrides, first)]
        first_of: dict[str, Launched] = {}  # a search may choose the same twice
        members = [one for one in launched if one.member and first_of.setdefault(one.member.folder, one) is one]
        log.info("%s", self.config.hydra.sweep.dir)
        mode = self._mode(members)
        if not members:
            pass  # a search's trials, all of which were refused
        elif mode == "stack":
            from aetrain.sweeps.launch.stacked import run_stacked

            run_stacked(members, self.run_one, self.context, self.job, self.memory_gb)
        elif mode == "processes":
            from aetrain.sweeps.launch.processes import run_in_processes

            run_in_processes(members, self.context, self.job, self._places(members))
        else:
            log.info("%d runs, one after another", len(members))
            with MembersBar(len(members)) as bar:
                for member in members:
                    self.run_one(member, bar)
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        for one in launched:
            one.returned = one.returned or first_of[one.member.folder].returned
        return [_without_hydras_words(one.returned) for one in launched]

    def run_one(self, launched: Launched, bar: MembersBar) -> None:
        """In this process, as Hydra's own launcher does."""
        if not bar.is_shown:
            log.info("%s", launched.label)
        with bar.part([launched.label]):
            launched.returned = run_job(
                task_function=self.job,
                config=launched.config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
                hydra_context=self.context,
            )
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        bar.share(launched.label, 1)
        if bar.is_shown:
            log.info("%s", ended(launched))

    def _launched(self, overrides: list[str], number: int) -> Launched:
        """A member of the job's, or a search's trial, which is composed and taken in here."""
        member = next((m for m in self.job.members.values() if overrides[-1:] == [subdir_override(m.folder)]), None)
        if member is not None:
            config = self.job.composed.get(member.folder) or copy.deepcopy(self.config)
            _name(config, member.folder, number, member.overrides)
            return Launched(config, member, label(number, member.overrides, self.job.swept))
        config = self.context.config_loader.load_sweep_config(self.config, overrides)
        _name(config, None, number, overrides)
        try:
            member = self.job.take_in(config, config.hydra)
        except AetrainError as error:
            returned = JobReturn(overrides=overrides, status=JobStatus.FAILED)
            returned.return_value = error
            return Launched(config, None, label(number, overrides, self.job.swept), returned)
        _name(config, member.folder, number, overrides)
        return Launched(config, member, label(number, overrides, self.job.swept))

    def _mode(self, members: Sequence[Launched]) -> str:
        """auto: on CPUs processes; on GPUs a stack, or processes on several of them where they take less time."""
        if self.mode != "auto":
            return self.mode
        devices = {member.device for member in members}
        if len(members) < 2 or len(devices) > 1:
            return "sequential"
        if devices == {"cuda"}:
            from aetrain.sweeps.launch.groups import structure  # which imports torch

            stacks = len({structure(member.member.config) for member in members})
            gpus = max(1, len(self._gpus(members)))
            return "processes" if gpus > 1 and stacks * OF_A_STACK > len(members) / gpus else "stack"
        return "processes" if cpu_quota() > 1 else "sequential"

    def _places(self, members: Sequence[Launched]) -> list[int | None]:
        """Of the processes side by side, on which GPU each computes, by its index; None: where the member says."""
        gpus = self._gpus(members)
        if gpus:
            return [gpus[n % len(gpus)] for n in range(min(len(members), self.workers or len(gpus)))]
        threads = max((launched.member.config.device.threads or 1) for launched in members)
        return [None] * min(len(members), self.workers or max(1, cpu_quota() // threads))

    def _gpus(self, members: Sequence[Launched]) -> list[int]:
        """Over which the members are spread: all of the machine, but for members that are to be on a certain one."""
        chosen = any(
            launched.member.config.device.index or "device.index" in given_keys(launched.member.overrides)
            for launched in members
        )
        on_cpu = any(launched.device == "cpu" for launched in members)
        return [] if chosen or on_cpu else list(range(cuda_device_count()))


def subdir_override(folder: str) -> str:
    """The override that makes Hydra use a member's folder."""
    return f"hydra.sweep.subdir={typed_out(folder)}"


def label(number: int, overrides: Sequence[str], swept: Sequence[str]) -> str:
    """A member in lines about it: its number and what it differs in."""
    own = [word for word, key in zip(overrides, given_keys(overrides), strict=True) if key in swept]
    return printable(" ".join([str(number), *(own or without_hydras(overrides))]))


def _name(config: DictConfig, folder: str | None, number: int, overrides: Sequence[str]) -> None:
    with open_dict(config):
        config.hydra.job.id = config.hydra.job.num = number
        config.hydra.overrides.task = list(overrides)
        if folder is not None:
            config.hydra.sweep.subdir = folder


class _Failure(JobReturn):
    @JobReturn.return_value.getter
    def return_value(self) -> Any:
        if self.status == JobStatus.FAILED:
            raise self._return_value
        return self._return_value


def _without_hydras_words(returned: JobReturn) -> JobReturn:
    """The same, but that a sweeper which asks a failed one for its value gets the reason alone: Hydra would print words
    of its own before."""
    if returned.status != JobStatus.FAILED:
        return returned
    return _Failure(**{field.name: getattr(returned, field.name) for field in dataclasses.fields(JobReturn)})
