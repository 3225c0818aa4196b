"""The configurations of a sweep's members, as Hydra composes them, in a sixth of the time. Imports no torch."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import HydraContext
from omegaconf import DictConfig

from aetrain.hydra_parts import apply_overrides, overrides_dirname


class Composition:
    """Composes members. Those that choose the same options of groups differ in values alone: Hydra composes the options
    once, and the values are set as Hydra sets them. Whatever is more than that (+, ~, words of Hydra's own, keys that
    are not there) is Hydra's to compose, or to refuse."""

    def __init__(self, config: DictConfig, context: HydraContext):
        """config: the sweep's own."""
        self._config, self._loader = config, context.config_loader
        self._parser = OverridesParser.create()
        self._of_options: dict[tuple[str, ...], DictConfig] = {}

    def member(self, words: Sequence[str]) -> DictConfig:
        """The configuration of these overrides, with Hydra's own part."""
        options, values = [], []
        for override in self._parser.parse_overrides(list(words)):
            (values if _sets_a_value(override, self._config) else options).append(override)
        if any(override.is_hydra_override() for override in options):
            return self._loader.load_sweep_config(self._config, list(words))
        of_options = self._composed(tuple(str(override.input_line) for override in options))
        if of_options is None or not all(_has(of_options, override) for override in values):
            return self._loader.load_sweep_config(self._config, list(words))
        composed = copy.deepcopy(of_options)
        apply_overrides(values, composed)
        composed.hydra.overrides.task = list(words)
        composed.hydra.job.override_dirname = overrides_dirname([*options, *values], composed.hydra.job.config)
        return composed

    def _composed(self, options: tuple[str, ...]) -> DictConfig | None:
        """What Hydra makes of these words; None where it refuses them: it has a first mistake among all words."""
        if options not in self._of_options:
            with suppress(HydraException):
                self._of_options[options] = self._loader.load_sweep_config(self._config, list(options))
        return self._of_options.get(options)


def _sets_a_value(override: Override, config: DictConfig) -> bool:
    """Whether it is `key=value` and no more. Of keys without a dot those that are no mapping in the sweep's own
    configuration: the others are groups."""
    key = override.key_or_group
    more = override.is_add() or override.is_force_add() or override.is_delete() or override.is_sweep_override()
    if more or override.package is not None or override.is_hydra_override() or "/" in key:
        return False
    return "." in key or _has(config, override)


def _has(config: DictConfig, override: Override) -> bool:
    """Whether the configuration has such a value, be it null or missing."""
    node: Any = config
    for part in override.key_or_group.split("."):
        if not isinstance(node, DictConfig) or node._is_none() or node._is_missing() or part not in node._content:
            return False
        node = node._get_node(part)
    return not isinstance(node, DictConfig)
