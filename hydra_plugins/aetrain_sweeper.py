"""`hydra/sweeper=aetrain`, the default: Hydra's basic sweeper, with every member checked before the first starts, and
all failures told at the end.

In a namespace package of this name because Hydra takes sweepers from nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import open_dict

from aetrain.errors import AetrainError, RunFailed


class Patient:
    """A launcher whose failed members do not keep Hydra from the others: their reasons are kept here instead."""

    def __init__(self, launcher: Launcher):
        self._launcher = launcher
        self.failed: list[str] = []

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        returns = self._launcher.launch(job_overrides, initial_job_idx=initial_job_idx)
        for number, member in enumerate(returns, initial_job_idx):
            if member.status == JobStatus.FAILED and isinstance(member._return_value, AetrainError):
                self.failed.append(f"{number} ({' '.join(member.overrides)}): {member._return_value}")
                member.status, member.return_value = JobStatus.COMPLETED, None
        return returns


class AetrainSweeper(BasicSweeper):
    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose every member, as Hydra does here too, and check its values."""
        from aetrain.cli import check

        try:
            for overrides in batch:
                config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
                with open_dict(config):
                    del config["hydra"]
                check(config, overrides)
        except Exception:
            self._leave_nothing()
            raise

    def sweep(self, arguments: list[str]) -> Any:
        self.launcher = Patient(self.launcher)
        returns = super().sweep(arguments)
        if failed := self.launcher.failed:
            raise RunFailed(f"{len(failed)} of {sum(map(len, returns))} members failed: {'; '.join(failed)}")
        return returns

    def _leave_nothing(self) -> None:
        """Remove the folder that the sweep has just made, unless it holds older members."""
        folder = Path(str(self.config.hydra.sweep.dir))
        if {path.name for path in folder.iterdir()} <= {"multirun.yaml"}:
            (folder / "multirun.yaml").unlink()
            folder.rmdir()


# A plain dict, not a dataclass: Hydra scans this file without entering it into sys.modules, which dataclasses need.
ConfigStore.instance().store(
    group="hydra/sweeper",
    name="aetrain",
    node={"_target_": "hydra_plugins.aetrain_sweeper.AetrainSweeper", "max_batch_size": None, "params": None},
    provider="aetrain",
)
