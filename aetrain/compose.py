"""The dataclasses, made known to Hydra."""

from __future__ import annotations

import functools

from hydra.core.config_store import ConfigStore

from aetrain.config.schema import Config
from aetrain.config.tables import GROUPS, TRAINER


@functools.cache  # once per process
def register() -> None:
    """Under hydra/schema/ so that --help does not list them as options."""
    store = ConfigStore.instance()
    store.store(name="config_schema", node=Config)
    store.store(group="hydra/schema", name="trainer", node=TRAINER)
    for group, table in GROUPS.items():
        for name, cls in table.items():
            store.store(group=f"hydra/schema/{group}", name=name, node=cls)
