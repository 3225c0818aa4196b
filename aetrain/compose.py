"""Overrides → the typed, checked configuration, by Hydra. Imports no torch."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra import version
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from hydra.initialize import get_gh_backup, restore_gh_from_backup
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from aetrain.config import own
from aetrain.config.command import CHDIR
from aetrain.config.conf import CONF
from aetrain.config.explain import explain
from aetrain.config.packages import PROVIDER
from aetrain.config.rules import check_metric, check_objective, check_run
from aetrain.config.schema import Config
from aetrain.config.tables import GROUPS, MODELS, NETS, PRIORS, SETS, TRAINER
from aetrain.config.tree import typed
from aetrain.config.typos import no_prior
from aetrain.device import check_device
from aetrain.errors import UserError
from aetrain.hydra_parts import Callbacks, ConfigLoader, Hydra, create_config_search_path
from aetrain.initial import initial


def _by(key: Any, table: DictConfig) -> Any:
    """In conf/: the default that suits another value. Of a value that there is not, the checks have more to say."""
    return table.get(key, next(iter(table.values())))


OmegaConf.register_new_resolver("aetrain.by", _by, replace=True)
OmegaConf.register_new_resolver("aetrain.suffix", lambda name: f"_{name}" if name else "", replace=True)


@functools.cache  # once per process
def register() -> None:
    """Under hydra/schema/ so that --help does not list them as options."""
    for table in (MODELS, NETS, PRIORS, SETS):
        for line in table.refused:
            print(f"aetrain: {line}", file=sys.stderr)
    store = ConfigStore.instance()
    store.store(name="config_schema", node=Config)
    store.store(group="hydra/schema", name="trainer", node=TRAINER)
    for group, table in GROUPS.items():
        for name, cls in table.items():
            store.store(group=f"hydra/schema/{group}", name=name, node=cls)


@contextmanager
def hydra_with(config_dir: str | None = None) -> Iterator[Hydra]:
    """Within: Hydra composes from our defaults and from this folder of the user's own. An override of hydra.searchpath,
    whose grammar does not take every name, stays the user's."""
    register()
    if config_dir is not None and not os.path.isdir(config_dir):
        raise UserError(f"--config-dir {config_dir}: there is no such folder")
    path = create_config_search_path(str(CONF))
    if config_dir is not None:
        path.prepend("command-line", f"file://{os.path.abspath(config_dir)}", SearchPathQuery("schema", None))
    before = get_gh_backup()
    GlobalHydra.instance().clear()
    version.setbase("1.3")
    try:
        hydra = Hydra("aetrain", ConfigLoader(path))
        GlobalHydra.instance().initialize(hydra)
        yield hydra
    finally:
        restore_gh_from_backup(before)


def composed(overrides: Sequence[str], config_dir: str | None = None,
             config_name: str | None = None) -> tuple[DictConfig, HydraContext]:  # fmt: skip
    """The configuration of these overrides, with Hydra's own part, and what a job of Hydra's needs besides."""
    with hydra_with(config_dir) as hydra:
        with digested([config_dir or "", *overrides]):
            config = hydra.compose_config(config_name or "config", list(overrides), run_mode=RunMode.RUN,
                                          from_shell=False, with_log_configuration=False)  # fmt: skip
        return config, HydraContext(hydra.config_loader, Callbacks(config))


@contextmanager
def digested(words: Sequence[str], only_if: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Within: what Hydra cannot digest of these words is a mistake of the user's. only_if: later it is a bug."""
    try:
        yield
    except (ValueError, AssertionError, TypeError, RecursionError) as error:
        if isinstance(error, HydraException | OmegaConfBaseException) or not only_if():
            raise
        if isinstance(error, UnicodeDecodeError):
            raise UserError(own.undecodable(error, words)) from error
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        raise UserError(no_prior(words) or " ".join(str(error).split())) from error


@contextmanager
def in_words(words: Sequence[str]) -> Iterator[None]:
    """Within: what Hydra, OmegaConf and YAML raise about the user's words becomes a UserError."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise UserError(explain(error, words)) from error


def without_hydra(config: DictConfig) -> DictConfig:
    """A copy without Hydra's own part."""
    config = config.copy()
    with open_dict(config):
        del config["hydra"]
    return config


def check(config: DictConfig, overrides: Sequence[str]):
    """The typed configuration of a composed one, with or without Hydra's part. Raises what the user can mend, before
    anything is written."""
    tree = typed_of(config, overrides)
    check_typed(tree)
    return tree


def typed_of(config: DictConfig, overrides: Sequence[str]):
    """The same, each value checked in itself."""
    sources: dict[str, str] = {}
    if "hydra" in config:
        if config.hydra.job.chdir:
            raise UserError(CHDIR.format("hydra.job.chdir=true"))
        sources, config = own_keys(config.hydra), without_hydra(config)
    if OmegaConf.get_type(config) is not Config:
        raise UserError("the file that -cn names does not build on ours; begin it with 'defaults: [config, _self_]'")
    tree = typed(config, given_keys(overrides), sources, overrides)
    if tree.init is not None:
        tree.init = str(initial(tree.init))
    return tree


def own_keys(hydra_config: DictConfig) -> dict[str, str]:
    """The dotted keys that the user's own YAML sets, with the file of each. hydra_config: Hydra's part."""
    runtime, ours = hydra_config.runtime, {"hydra", "main", "schema", PROVIDER}
    folders = [source.path for source in runtime.config_sources
               if source.schema == "file" and source.provider not in ours]  # fmt: skip
    found = own.files(folders, runtime.choices.get("experiment"), hydra_config.job.config_name)
    return {key: str(path) for path in found for key in own.keys(path, path.parent)}


def check_typed(tree) -> None:
    """What a typed configuration shows as a whole. Raises a UserError."""
    if MODELS.get(tree.model.name) is not type(tree.model):
        raise UserError(f"model.name={tree.model.name}: choose the model with model=…, its name follows")
    check_run(tree)
    check_objective(tree)
    check_metric(tree)
    check_device(tree.device)
    tree.logger.check()


def plain_values(overrides: Sequence[str]) -> list[tuple[str, Any]]:
    """Key and plain value of key=value overrides in Hydra's grammar."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    for override in parsed:
        if override.is_sweep_override() or override.is_delete() or override.is_add():
            raise UserError(f"{override.input_line}: give one value, as in {override.key_or_group}=…")
    return [(override.key_or_group, unquoted(override.value())) for override in parsed]


def unquoted(value: Any) -> Any:
    """A value of Hydra's grammar without its quotes."""
    if isinstance(value, QuotedString):
        return value.text
    return [unquoted(element) for element in value] if isinstance(value, list) else value


def given_keys(overrides: Sequence[str]) -> list[str]:
    """The dotted keys of key=value overrides."""
    return [override.lstrip("+~").partition("=")[0].partition("@")[0] for override in overrides]


def typed_out(value: Any) -> str:
    """A plain value in the grammar of Hydra's overrides."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{','.join(map(typed_out, value))}]"
    return QuotedString(value, Quote.single).with_quotes() if isinstance(value, str) else repr(value)
