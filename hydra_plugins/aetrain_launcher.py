"""`hydra/launcher=aetrain`, the default: runs the members of a sweep, all of them checked before the first starts.

In a namespace package of this name because Hydra takes launchers from nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from omegaconf import open_dict


class AetrainLauncher(BasicLauncher):
    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from aetrain.cli import check

        for overrides in job_overrides:
            config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            with open_dict(config):
                del config["hydra"]
            check(config, overrides)
        return super().launch(job_overrides, initial_job_idx)


# A plain dict, not a dataclass: Hydra scans this file without entering it into sys.modules, which dataclasses need.
ConfigStore.instance().store(
    group="hydra/launcher",
    name="aetrain",
    node={"_target_": "hydra_plugins.aetrain_launcher.AetrainLauncher"},
    provider="aetrain",
)
