"""Declaring, checking and explaining configuration values. Nothing here imports torch.

A dataclass declares name, type and range of a value, a YAML file in conf/ holds its default. A scalar that enters
the maths is an `hparam`: the model keeps it as a tensor, and it gets a schedule of its own; whatever decides shapes
or structure is a `setting`.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aetrain.errors import UserError


class _Given:
    """For only_if: any value but null."""

    def __contains__(self, value: Any) -> bool:
        return value is not None

    def __iter__(self) -> Iterator[str]:
        yield "<number>"


GIVEN = _Given()


def setting(**limits: Any) -> Any:
    """A field whose value comes from YAML. Limits: min, max (inclusive), above, below (exclusive), choices, and
    only_if={"key": (values…)}: given on the command line without one of these, the value would be ignored, so it is
    refused. Limits apply to every element of a list; null passes them where the type is Optional."""
    return dataclasses.field(default=MISSING, metadata=limits)


def hparam(**limits: Any) -> Any:
    """A scalar that enters the objective: see `setting` for the limits, `hparams` for what is made of it."""
    return setting(hparam=True, **limits)


def in_use(config: Any, field: dataclasses.Field) -> bool:
    """Whether the other values of `config` leave this field a meaning."""
    return all(getattr(config, key) in values for key, values in field.metadata.get("only_if", {}).items())


def hparams(config: Any) -> dict[str, float]:
    """The hparams of a model's configuration that take part in its objective, by name."""
    fields = (f for f in dataclasses.fields(config) if f.metadata.get("hparam") and in_use(config, f))
    return {f.name: float(getattr(config, f.name)) for f in fields if getattr(config, f.name) is not None}


def suggest(word: str, options: Iterable[Any]) -> str:
    """The end of an error line: the closest option, or all of them."""
    names = [str(option) for option in options]
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"choose from: {', '.join(names)}" if names else "there is nothing to choose from"


def range_error(value: Any, limits: dict[str, Any]) -> str | None:
    """What is wrong with one value, or None. Comparisons are written so that NaN fails them."""
    if value == MISSING:
        return "it needs a value"
    if "choices" in limits and value not in limits["choices"]:
        return suggest(str(value), limits["choices"])
    if not isinstance(value, int | float) and limits.keys() & {"min", "max", "above", "below"}:
        return "give a number"
    if isinstance(value, float) and not math.isfinite(value):
        return "it must be a finite number"
    if "min" in limits and not value >= limits["min"]:
        return f"it must be at least {limits['min']}"
    if "max" in limits and not value <= limits["max"]:
        return f"it must be at most {limits['max']}"
    if "above" in limits and not value > limits["above"]:
        return f"it must be greater than {limits['above']}"
    if "below" in limits and not value < limits["below"]:
        return f"it must be less than {limits['below']}"
    return None


def _walk(config: Any, path: str = "") -> Iterator[tuple[Any, dataclasses.Field, str]]:
    """(owner, field, dotted key) of every value of a tree of dataclasses."""
    for field in dataclasses.fields(config):
        key, value = f"{path}{field.name}", getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _walk(value, f"{key}.")
        else:
            yield config, field, key


def check_ranges(config: Any) -> None:
    """Raise a UserError for the first value of a tree of dataclasses that lies outside its declared range."""
    for owner, field, key in _walk(config):
        value = getattr(owner, field.name)
        if isinstance(value, list) and not value and field.metadata:
            raise UserError(f"{key}=[]: give at least one value, for example {key}=[256]")
        for element in value if isinstance(value, list) else [value]:
            if element is not None and (wrong := range_error(element, dict(field.metadata))):
                raise UserError(f"{key}={_show(value)}: {wrong}")


def check_used(config: Any, given: Iterable[str]) -> None:
    """Raise a UserError if a key that the user gave has no effect with the other values chosen."""
    given = set(given)
    for owner, field, key in _walk(config):
        if key in given and not in_use(owner, field):
            group = key.rpartition(".")[0]
            for other, values in field.metadata["only_if"].items():
                if getattr(owner, other) not in values:
                    now = getattr(owner, other)
                    wanted = " or ".join(f"{group}.{other}={_show(v)}" for v in values)
                    raise UserError(f"{key} has no effect with {group}.{other}={_show(now)}: it needs {wanted}")


def _show(value: Any) -> str:
    """A value as one would type it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"[{','.join(map(_show, value))}]" if isinstance(value, list) else str(value)


def check_keys(node: Any, path: str = "") -> None:
    """Raise a UserError for a key that no dataclass declares: `+key=value` slips past Hydra's own check."""
    if not isinstance(node, DictConfig):
        return
    declared = getattr(OmegaConf.get_type(node), "__dataclass_fields__", None)
    for key in node:
        if declared is not None and key not in declared:
            raise UserError(f"unknown key '{path}{key}': {suggest(str(key), declared)}")
        if not OmegaConf.is_missing(node, key) and not OmegaConf.is_interpolation(node, key):
            check_keys(node[key], f"{path}{key}.")


def typed(config: DictConfig, given: Iterable[str] = ()) -> Any:
    """The dataclass tree of a composed configuration, every key known and every value in range.

    given: the dotted keys that the user set, for `check_used`.
    """
    check_keys(config)
    missing = OmegaConf.missing_keys(config)
    if missing:
        raise UserError(f"{min(missing)} has no value: give one, as in {min(missing)}=…")
    tree = OmegaConf.to_object(config)
    check_ranges(tree)
    check_used(tree, given)
    return tree


def plain(config: Any) -> dict[str, Any]:
    """A dataclass tree as nested dicts of plain values: what goes into YAML, JSON and checkpoints."""
    return dataclasses.asdict(config)


def flatten(tree: dict[str, Any], path: str = "") -> dict[str, Any]:
    """{"model": {"beta": 4}} -> {"model.beta": 4}."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
    return flat


# What may differ between two runs whose numbers are the same.
_NOT_HASHED = re.compile(
    r"(data\.root|resume|checkpoint|trainer\.(log_every|checkpoint_\w+|grid_epochs|objective_metric))$"
)


def config_hash(config: Any) -> str:
    """12 hexadecimal digits over the resolved configuration, without paths and logging."""
    kept = {key: value for key, value in flatten(plain(config)).items() if not _NOT_HASHED.match(key)}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:12]


def explain(error: BaseException) -> str:
    """One line for what Hydra or OmegaConf raised about the user's configuration."""
    options = getattr(error, "options", None)
    missing = getattr(error, "missing_cfg_file", None)
    if missing:
        group, _, name = str(missing).rpartition("/")
        return f"{group or 'config'}={name}: there is no such option; {suggest(name, options or [])}"
    text = " ".join(re.sub(r"\s*See https://\S+.*", "", str(error), flags=re.DOTALL).split())
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__ or error.__context__
    if not isinstance(cause, OmegaConfBaseException):
        return text
    key, reason = cause.full_key or str(cause.key), " ".join(str(cause.msg or cause).split("\n")[0].split())
    declared = getattr(cause.object_type, "__dataclass_fields__", None)
    if declared is not None and str(cause.key) not in declared and f"'{cause.key}'" in reason:
        return f"unknown key '{key}': {suggest(str(cause.key), [n for n in declared if n != 'schedule'])}"
    number = re.search(r"could not be converted to (Integer|Float|Boolean)", reason)
    if number:
        example = {
            "Integer": "a whole number, as in {}=10",
            "Float": "a number, as in {}=0.5",
            "Boolean": "{}=true or {}=false",
        }
        value = re.search(r"Value '(.*?)'", reason)
        return f"{key}={value[1] if value else '?'}: give {example[number[1]].replace('{}', key)}"
    return f"{key}: {reason}"
