"""How the members of a sweep are run: one after another, in processes side by side, or stacked as one model.

On disk all ways leave the same. Imports no torch: in processes, only the members need it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, configure_log, run_job, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict

from aetrain.config.words import suggest
from aetrain.device import cpu_quota, cuda_device_count
from aetrain.errors import UserError

log = logging.getLogger(__name__)

MODES = ("auto", "stack", "processes", "sequential")


@dataclass
class Launched:
    """One member on its way."""

    config: DictConfig  # Hydra's, with its own part
    label: str  # for lines about it: its number and what it differs in
    returned: JobReturn | None = None

    @property
    def folder(self) -> Path:
        sweep = self.config.hydra.sweep
        return Path(str(sweep.dir), str(sweep.subdir))

    @property
    def device(self) -> str:
        """cpu or cuda."""
        name = self.config.device.name
        return "cpu" if name == "cpu" or (name == "auto" and not cuda_device_count()) else "cuda"


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

    def __init__(self, config: DictConfig, hydra_context: Any, task_function: Any, mode: str, workers: int | None,
                 memory_gb: float | None):  # fmt: skip
        self.config, self.context, self.task_function = config, hydra_context, task_function
        self.mode, self.workers, self.memory_gb = mode, workers, memory_gb

    def run(self, job_overrides: Sequence[Sequence[str]], first: int,
            composed: Mapping[tuple[str, ...], DictConfig]) -> list[JobReturn]:  # fmt: skip
        """What each member returned, in order. A member that fails with an AetrainError does not stop the others.
        composed: by overrides, the configurations that are there already."""
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        members = self._launched(job_overrides, first, composed)
        mode = self._mode(members)
        if mode == "stack":
            from aetrain.sweeps.stacked import run_stacked

            run_stacked(members, self.run_one, self.context, self.task_function.swept, self.memory_gb)
        elif mode == "processes":
            from aetrain.sweeps.processes import run_in_processes

            run_in_processes(members, self.context, self.task_function.swept, self._workers(members))
        else:
            log.info("%d members, one after another", len(members))
            for member in members:
                self.run_one(member)
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        return [member.returned for member in members]

    def run_one(self, member: Launched) -> None:
        """In this process, as Hydra's own launcher does."""
        log.info("%s", member.label)
        member.returned = run_job(
            task_function=self.task_function,
            config=member.config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=self.context,
        )
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)

    def _launched(self, job_overrides: Sequence[Sequence[str]], first: int,
                  composed: Mapping[tuple[str, ...], DictConfig]) -> list[Launched]:  # fmt: skip
        common = set.intersection(*map(set, job_overrides)) if len(job_overrides) > 1 else set()
        members = []
        for number, overrides in enumerate(job_overrides, first):
            config = composed.get(tuple(overrides))
            if config is None:
                config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                config.hydra.job.id = config.hydra.job.num = number
            own = [o for o in overrides if o not in common and not o.startswith("hydra.")]
            members.append(Launched(config, " ".join([str(number), *own])))
        return members

    def _mode(self, members: Sequence[Launched]) -> str:
        """auto: processes on CPUs. On a GPU one after another, until the stack has been run on one."""
        if self.mode != "auto":
            return self.mode
        side_by_side = len(members) > 1 and {member.device for member in members} == {"cpu"} and cpu_quota() > 1
        return "processes" if side_by_side else "sequential"

    def _workers(self, members: Sequence[Launched]) -> int:
        threads = max((OmegaConf.select(member.config, "device.threads") or 1) for member in members)
        return min(len(members), self.workers or max(1, cpu_quota() // threads))
