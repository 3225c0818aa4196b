"""`hydra/sweeper=aetrain`, the default: every member is composed, checked and written down before the first starts, and
all failures are told at the end. What is left of Hydra's basic sweeper is how it splits the values.

In a namespace package of this name because Hydra takes sweepers from nowhere else.
"""

from __future__ import annotations

from typing import Any

# Private: how everyone's sweep values are split. Not in aetrain/hydra_parts.py, since it may not be imported before
# Hydra has scanned its own plugins: that executes the module anew, and the class that was there is another then.
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser


class AetrainSweeper(BasicSweeper):
    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self.job = task_function

    def sweep(self, arguments: list[str]) -> Any:
        from aetrain.sweeps.launch.command import launch_all

        words = [*self._parse_config(), *arguments]
        parsed = OverridesParser.create(config_loader=self.hydra_context.config_loader).parse_overrides(words)
        members = [list(overrides) for batch in self.split_arguments(parsed, None) for overrides in batch]
        return launch_all(self.config, self.hydra_context, self.launcher, self.job, members, self.max_batch_size)


# A plain dict, not a dataclass: Hydra scans this file without entering it into sys.modules, which dataclasses need.
ConfigStore.instance().store(
    group="hydra/sweeper",
    name="aetrain",
    node={"_target_": "hydra_plugins.aetrain_sweeper.AetrainSweeper", "max_batch_size": None, "params": None},
    provider="aetrain",
)
