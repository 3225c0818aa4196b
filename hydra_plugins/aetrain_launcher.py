"""`hydra/launcher=aetrain`, the default: see aetrain/sweeps/launch/.

In a namespace package of this name because Hydra takes launchers from nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher


class AetrainLauncher(Launcher):
    def __init__(self, mode: str, workers: int | None, memory_gb: float | None):
        self.ways = {"mode": mode, "workers": workers, "memory_gb": memory_gb}

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        from aetrain.sweeps.launch.ways import check_ways

        check_ways(**self.ways)  # here, before the sweep's folder is made
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from aetrain.sweeps.launch.ways import Sweep

        return Sweep(self.config, self.hydra_context, self.task_function, **self.ways).run(
            job_overrides, initial_job_idx
        )


# A plain dict, not a dataclass: Hydra scans this file without entering it into sys.modules, which dataclasses need.
ConfigStore.instance().store(
    group="hydra/launcher",
    name="aetrain",
    node={
        "_target_": "hydra_plugins.aetrain_launcher.AetrainLauncher",
        "mode": "auto",  # auto | stack | processes | sequential
        "workers": None,  # processes at a time; None: one per CPU, at most one per member
        "memory_gb": None,  # that a stack may take; None: four fifths of what is free
    },
    provider="aetrain",
)
