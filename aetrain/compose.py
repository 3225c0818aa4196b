"""Overrides → the typed, checked configuration, by Hydra. Imports no torch."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

import hydra
from hydra._internal.callbacks import Callbacks
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from aetrain.config.conf import CONF
from aetrain.config.rules import check_metric, check_objective, check_run
from aetrain.config.schema import Config
from aetrain.config.tables import GROUPS, MODELS, TRAINER
from aetrain.config.tree import typed
from aetrain.device import check_device
from aetrain.errors import UserError


@functools.cache  # once per process
def register() -> None:
    """Under hydra/schema/ so that --help does not list them as options."""
    store = ConfigStore.instance()
    store.store(name="config_schema", node=Config)
    store.store(group="hydra/schema", name="trainer", node=TRAINER)
    for group, table in GROUPS.items():
        for name, cls in table.items():
            store.store(group=f"hydra/schema/{group}", name=name, node=cls)


def composed(
    overrides: Sequence[str], config_dir: str | None = None, config_name: str | None = None
) -> tuple[DictConfig, HydraContext]:
    """The configuration of these overrides, with Hydra's own part, and what a job of Hydra's needs besides.

    config_dir: a folder of the user's own YAML."""
    register()
    if config_dir and not os.path.isdir(config_dir):
        raise UserError(f"--config-dir {config_dir}: there is no such folder")
    searched = [f"hydra.searchpath=[{os.path.abspath(config_dir)}]"] if config_dir else []
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            config = hydra.compose(config_name or "config", [*overrides, *searched], return_hydra_config=True)
        except (ValueError, AssertionError, TypeError) as error:
            if isinstance(error, HydraException | OmegaConfBaseException):
                raise
            raise UserError(" ".join(str(error).split())) from error  # an override that Hydra cannot digest
        return config, HydraContext(GlobalHydra.instance().config_loader(), Callbacks(config))


def without_hydra(config: DictConfig) -> DictConfig:
    """A copy without Hydra's own part."""
    config = config.copy()
    with open_dict(config):
        del config["hydra"]
    return config


def check(config: DictConfig, overrides: Sequence[str]):
    """The typed configuration of a composed one. Raises what the user can mend, before anything is written."""
    tree = typed(config, given_keys(overrides))
    check_typed(tree)
    return tree


def check_typed(tree) -> None:
    """What a typed configuration shows as a whole. Raises a UserError."""
    if MODELS.get(tree.model.name) is not type(tree.model):
        raise UserError(f"model.name={tree.model.name}: choose the model with model=…, its name follows")
    check_run(tree)
    check_objective(tree)
    check_metric(tree)
    check_device(tree.device)


def given_keys(overrides: Sequence[str]) -> list[str]:
    """The dotted keys of key=value overrides."""
    return [override.lstrip("+~").partition("=")[0].partition("@")[0] for override in overrides]
