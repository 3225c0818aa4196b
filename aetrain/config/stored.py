"""Reading a stored configuration back: a run's config.yaml, a checkpoint's or a sweep's copy of it.

It may be anyone's. It is read as plain data into the dataclasses that the tables name, and nothing else happens with
it: no Hydra, no overrides, no interpolation, no import. A name that is not in a table, a key that is not declared and a
value of another type are refused. Files of the first generation are read, too: see `modern`.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from aetrain.config.schema import Config
from aetrain.config.schema.schedule import Schedule
from aetrain.config.tables import GROUPS, MODELS, TRAINER
from aetrain.config.tree import check_ranges
from aetrain.config.words import is_shown, show
from aetrain.errors import UserError
from aetrain.files import read_bytes

LARGEST = 1 << 20  # bytes of a configuration
DEEPEST = 8  # levels of nesting
LONGEST = 1000  # characters of a value

# What keys that have been added since mean for a run that was made without them.
ADDED: dict[str, dict[str, Any]] = {
    "trainer": {"test": "last", "minutes": None, "profile_steps": 0},
    "data": {"classes": None, "flip": False, "shift": 0, "resident": "auto"},
}

ADDED_TO_MODELS: dict[str, dict[str, Any]] = {
    "beta_vae": {"recon_weight": 1.0},
    "sparse": {"k_aux": None, "dead_after": 10_000, "aux_weight": 0.03125},
}

OF_THE_WHOLE: dict[str, Any] = {"name": None, "tags": [], "init": None}


def read(path: Path) -> Config:
    """The configuration in a YAML file. Raises a UserError, one line."""
    return build(read_yaml(path), str(path))


def build(tree: Any, where: str) -> Config:
    """The typed configuration of nested dicts of plain values. where: the file that an error names.

    `data.root` is not taken over: where MNIST is unpacked is for whoever runs the program to say. Neither is a logger:
    the file may be someone else's, and so would be the server that it names."""
    try:
        config = _groups(modern(tree))
        check_ranges(config)
    except (UserError, ValueError) as error:
        raise UserError(f"{where}: refused, {error}") from error
    return config


def changed(config: Config, values: Iterable[tuple[str, Any]]) -> Config:
    """The same with other values, by dotted key or by the name of a group (`device`, whose name it sets).

    Raises a UserError for a value of the wrong type or out of range."""
    for key, value in values:
        path = [key, "name"] if key in GROUPS else key.split(".")
        try:
            config = _set(config, path, value)
        except ValueError as error:
            raise UserError(f"{key}={show(value)}: {error}") from error
    check_ranges(config)
    return config


def modern(tree: Any) -> dict[str, Any]:
    """A whole tree, of the first generation (0.1) or of today, with today's names and keys. Raises ValueError."""
    groups = {*GROUPS, "trainer"} - {"net", "prior", "logger"}
    if not isinstance(tree, dict) or not all(isinstance(tree.get(group), dict) for group in groups):
        raise ValueError("it is not the configuration of a run")
    tree = {"net": {}} | renamed(tree)
    tree = (
        OF_THE_WHOLE
        | tree
        | {"logger": {"name": "tensorboard"}}
        | {group: values | tree[group] for group, values in ADDED.items()}
    )
    if isinstance(tree["net"], dict):
        earlier = {"hidden": [], "kernel": 4, "stride": 2, "norm": "none"} if tree["net"].get("name") == "conv" else {}
        tree["net"] = {"init": "default"} | earlier | tree["net"]
    tree["model"] = {"sigma_per_channel": False} | tree["model"]
    if "prior" not in tree:  # before priors were a group, every VAE had this one
        name = tree["model"].get("name")
        takes_prior = isinstance(name, str) and getattr(MODELS.get(name), "takes_prior", False)
        tree["prior"] = {"name": "normal"} if takes_prior else None
    name = tree["model"].get("name")
    if isinstance(name, str) and name in ADDED_TO_MODELS and isinstance(tree["model"].get("schedule"), dict):
        added = ADDED_TO_MODELS[name]
        hparams = [f.name for f in dataclasses.fields(MODELS[name]) if f.name in added and f.metadata.get("hparam")]
        schedules = {key: dataclasses.asdict(Schedule()) for key in hparams}
        schedules |= tree["model"]["schedule"]
        tree["model"] = added | tree["model"] | {"schedule": schedules}
    return tree


# What of a model was its network's. All had all of it: `hidden` said nothing to convolutions, as it does today.
NET_OF_THE_FIRST_GENERATION = {"linear": (), "mlp": ("hidden", "activation"), "conv": ("channels", "activation")}


def renamed(tree: dict[str, Any]) -> dict[str, Any]:
    """A tree of the first generation, or a part of one, with today's names; one of today as it is."""
    model, optimizer = tree.get("model"), tree.get("optimizer")
    if "net" in tree or not isinstance(model, dict):
        return tree
    arch = model.get("arch")
    moved = NET_OF_THE_FIRST_GENERATION.get(arch, ()) if isinstance(arch, str) else ()
    net = {"name": arch} | {key: model[key] for key in moved if key in model}
    kept = {key: value for key, value in model.items() if key not in ("arch", "hidden", "channels", "activation")}
    kept = _renamed(kept, "weight_decay", "l2_weight")
    if kept.get("corruption") == "masking":
        kept["corruption"] = "independent_masking"
    if isinstance(schedules := kept.get("schedule"), dict):
        schedules = _renamed(schedules, "weight_decay", "l2_weight")
        kept["schedule"] = {name: _renamed(schedule, "gamma", "factor") for name, schedule in schedules.items()}
    tree = {"model": kept} | ({"net": net} if "arch" in model else {}) | {k: v for k, v in tree.items() if k != "model"}
    if isinstance(optimizer, dict) and "schedule" in optimizer:
        tree["optimizer"] = optimizer | {"schedule": _renamed(optimizer["schedule"], "gamma", "factor")}
    return tree


def _renamed(tree: Any, old: str, new: str) -> Any:
    return {new if key == old else key: value for key, value in tree.items()} if isinstance(tree, dict) else tree


def read_yaml(path: Path) -> Any:
    """A small YAML file's plain values. Raises a UserError."""
    content = read_bytes(path, LARGEST)
    try:
        _check_form(content)
        return yaml.load(content, _Loader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError, OverflowError) as error:
        raise UserError(f"{path}: not readable as YAML ({' '.join(str(error).split())[:120]})") from error


def _check_form(content: bytes) -> None:
    """Raise ValueError for nesting that the parser in C, which recurses unchecked, could not take, and for aliases."""
    depth = 0
    for event in yaml.parse(content, _Loader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it uses aliases")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")


# The parser in C is ten times as fast; PyYAML comes without it on some platforms.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


# --- plain values -> dataclasses


def _groups(tree: Mapping[str, Any]) -> Config:
    values: dict[str, Any] = {}
    for group, table in GROUPS.items():
        if group == "prior" and tree[group] is None:
            values[group] = None
            continue
        if not isinstance(tree[group], dict):
            raise ValueError(f"{group} is not a group of values")
        name = tree[group].get("name")
        if not isinstance(name, str) or name not in table:
            told = f"{group}.name={str(name)[:40]!r} is no {group}"
            raise ValueError(f"{told} of this version of aetrain or of a package that is installed")
        known = {key: value for key, value in tree[group].items() if (group, key) != ("data", "root")}
        values[group] = _instance(table[name], known, group)
    if (values["prior"] is not None) != values["model"].takes_prior:
        raise ValueError(
            f"model.name={tree['model']['name']} {'needs a' if values['prior'] is None else 'takes no'} prior"
        )
    values["trainer"] = _instance(TRAINER, tree["trainer"], "trainer")
    hints = _hints(Config)
    values |= {key: _value(hints[key], tree.get(key), key) for key in ("seed", *OF_THE_WHOLE)}
    if extra := [key for key in tree if key not in values]:
        raise ValueError(f"the key {str(extra[0])[:40]!r} has no place in a run's configuration")
    return Config(**values)


def _instance(cls: type, tree: Any, path: str) -> Any:
    """A dataclass of a dict that holds exactly its fields."""
    if not isinstance(tree, dict):
        raise ValueError(f"{path} is not a group of values")
    hints = _hints(cls)
    if extra := [key for key in tree if key not in hints]:
        raise ValueError(f"the key {f'{path}.{extra[0]}'[:60]!r} has no place in a run's configuration")
    values = {}
    for field in dataclasses.fields(cls):
        key = f"{path}.{field.name}"
        if field.name in tree:
            values[field.name] = _value(hints[field.name], tree[field.name], key)
        elif key == "data.root":
            values[field.name] = None
        else:
            raise ValueError(f"{key} has no value")
    return cls(**values)


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    """Field name -> type, the annotations resolved."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _value(kind: Any, value: Any, key: str) -> Any:
    """A plain value as a field's type has it. Raises ValueError."""
    if dataclasses.is_dataclass(kind):
        return _instance(kind, value, key)
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (arg for arg in typing.get_args(kind) if arg is not type(None))
        return None if value is None else _value(inner, value, key)
    if kind is Any:  # a plain value; its dataclass says which
        known = next((k for k in (bool, int, str) if isinstance(value, k)), float)
        return None if value is None else _value(known, value, key)
    if origin is list and isinstance(value, list) and len(value) <= LONGEST:
        return [_value(typing.get_args(kind)[0], element, key) for element in value]
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
        return float(value)
    if kind is str and isinstance(value, str) and len(value) <= LONGEST and is_shown(value) and "${" not in value:
        return str(value)
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "plain text"}
    raise ValueError(f"{key} must be {words.get(kind, 'a list of plain values')}, not {str(value)[:40]!r}")


def _worded(kind: Any, value: Any) -> Any:
    """A value as it was typed, [3] say, for a field of this type: a number where text is wanted is a word."""
    if kind is str:
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if isinstance(value, list) and typing.get_origin(kind) is list:
        return [_worded(typing.get_args(kind)[0], element) for element in value]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        (inner,) = (arg for arg in typing.get_args(kind) if arg is not type(None))
        return _worded(inner, value)
    return value


def _set(node: Any, path: list[str], value: Any) -> Any:
    """The dataclass with one value, deep inside it, replaced."""
    name, *rest = path
    if not dataclasses.is_dataclass(node) or name not in _hints(type(node)):
        raise ValueError("there is no such key")
    kind = _hints(type(node))[name]
    new = _set(getattr(node, name), rest, value) if rest else _value(kind, _worded(kind, value), name)
    return dataclasses.replace(node, **{name: new})
