"""`hydra/sweeper=aetrain`, the default: Hydra's basic sweeper, with every member checked before the first starts, and
all failures told at the end.

In a namespace package of this name because Hydra takes sweepers from nowhere else.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from aetrain.errors import AetrainError, RunFailed
from aetrain.resume import read_overrides, typed_out

log = logging.getLogger(__name__)


class Patient:
    """A launcher whose failed members do not keep Hydra from the others: their reasons are kept here instead."""

    def __init__(self, launcher: Launcher):
        self._launcher = launcher
        # Ours takes over what the sweeper has composed: Hydra needs a tenth of a second for each member.
        self.composed: dict[tuple[str, ...], Any] = getattr(launcher, "composed", {})
        self.failed: list[str] = []

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        returns = self._launcher.launch(job_overrides, initial_job_idx=initial_job_idx)
        common = set.intersection(*map(set, job_overrides)) if len(job_overrides) > 1 else set()
        for number, (overrides, member) in enumerate(zip(job_overrides, returns, strict=True), initial_job_idx):
            if member.status == JobStatus.FAILED and isinstance(member._return_value, AetrainError):
                own = [o for o in overrides if o not in common and not o.startswith("hydra.")]
                self.failed.append(f"{' '.join([str(number), *own])}: {member._return_value}")
                member.status, member.return_value = JobStatus.COMPLETED, None
        return returns


class AetrainSweeper(BasicSweeper):
    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.launcher = Patient(self.launcher)
        self._resumes = getattr(task_function, "resumes", False)
        self._folders: Folders | None = None

    def sweep(self, arguments: list[str]) -> Any:
        self._folders = Folders(Path(str(self.config.hydra.sweep.dir)))
        try:
            returns = super().sweep(arguments)
        finally:
            self._folders.refresh_report()
        if failed := self.launcher.failed:
            raise RunFailed(f"{len(failed)} of {sum(map(len, returns))} members failed: {'; '.join(failed)}")
        return returns

    def get_job_batch(self) -> Sequence[Sequence[str]]:
        """The next members, each with the folder that it has if it was there before."""
        batch = [list(overrides) for overrides in super().get_job_batch()]
        if self._resumes and self.is_done():  # what earlier commands have added to this sweep
            asked = {Folders.key(overrides) for chunk in self.overrides for overrides in chunk}
            batch += [list(overrides) for key, overrides in self._folders.members() if key not in asked]
        return [[*overrides, *self._folders.override(overrides)] for overrides in batch]

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose every member, as Hydra does here too, and check its values."""
        from aetrain.compose import check, given_keys
        from aetrain.config.rules import check_metric

        members = [set(overrides) for chunk in self.overrides for overrides in chunk]
        swept = given_keys(sorted(set.union(*members) - set.intersection(*members)))
        try:
            for overrides in batch:
                config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
                self.launcher.composed[tuple(overrides)] = config
                check_metric(check(config, [o for o in overrides if not o.startswith("hydra.")]), swept)
        except Exception:
            self._folders.leave_nothing()
            raise


class Folders:
    """The members' folders of a sweep. A member is known by its overrides: one that was there before keeps its folder,
    whatever its number would be now, and new ones are numbered on."""

    def __init__(self, sweep: Path):
        self.sweep = sweep
        self._names: dict[tuple[str, ...], str] = {}
        for overrides in sorted(sweep.glob("*/.hydra/overrides.yaml")):
            name = overrides.parent.parent.name
            if re.match(r"\d+_", name):
                self._names[self.key(read_overrides(overrides))] = name
        self._was_empty = not self._names

    @staticmethod
    def key(overrides: Sequence[str]) -> tuple[str, ...]:
        return tuple(sorted(o for o in overrides if not o.startswith("hydra.")))

    def members(self) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        """(key, overrides) of the members that were there before, by number."""
        return [(key, key) for key in sorted(self._names, key=self._number)]

    def override(self, overrides: Sequence[str]) -> list[str]:
        """What makes Hydra use the member's folder; nothing in a new sweep, which Hydra numbers itself."""
        if self._was_empty:
            return []
        from aetrain.cli import member_name

        key = self.key(overrides)
        if key not in self._names:
            self._names[key] = f"{1 + max(map(self._number, self._names))}_{member_name(overrides)}"
        return [f"hydra.sweep.subdir={typed_out(self._names[key])}"]

    def _number(self, key: tuple[str, ...]) -> int:
        return int(self._names[key].partition("_")[0])

    def leave_nothing(self) -> None:
        """Remove the folder that the sweep has just made, unless it holds members."""
        if {path.name for path in self.sweep.iterdir()} <= {"multirun.yaml"}:
            (self.sweep / "multirun.yaml").unlink()
            self.sweep.rmdir()

    def refresh_report(self) -> None:
        """For members that have ended without a word."""
        from aetrain.sweeps import report

        if self.sweep.is_dir():
            report.refresh(self.sweep)
        if (self.sweep / "report.html").is_file():
            log.info("%s", self.sweep / "report.html")


# A plain dict, not a dataclass: Hydra scans this file without entering it into sys.modules, which dataclasses need.
ConfigStore.instance().store(
    group="hydra/sweeper",
    name="aetrain",
    node={"_target_": "hydra_plugins.aetrain_sweeper.AetrainSweeper", "max_batch_size": None, "params": None},
    provider="aetrain",
)
