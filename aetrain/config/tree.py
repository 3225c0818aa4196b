"""The typed configuration: a tree of dataclasses, checked value by value, and its plain forms."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import yaml
from omegaconf import MISSING, DictConfig, OmegaConf

from aetrain.config.explain import unknown
from aetrain.config.fields import in_use, names, range_error
from aetrain.config.typos import no_choice
from aetrain.config.words import is_shown, show
from aetrain.errors import UserError


def walk(config: Any, path: str = "") -> Iterator[tuple[Any, dataclasses.Field, str]]:
    """(owner, field, dotted key) of every value of a tree of dataclasses."""
    for field in dataclasses.fields(config):
        key, value = f"{path}{field.name}", getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from walk(value, f"{key}.")
        else:
            yield config, field, key


def check_ranges(config: Any) -> None:
    """Raise a UserError for the first value of a tree of dataclasses that lies outside its declared range."""
    for owner, field, key in walk(config):
        value = getattr(owner, field.name)
        if isinstance(value, list) and not value and field.metadata and not field.metadata.get("may_be_empty"):
            raise UserError(f"{key}=[]: give at least one value, for example {key}=[256]")
        for element in value if isinstance(value, list) else [value]:
            limits = dict(field.metadata)
            if element is not None and element != MISSING and element not in limits.get("choices", (element,)):
                raise UserError(no_choice(key, value, limits["choices"], limits.get("instead", {})))
            if element is not None and (wrong := range_error(element, limits)):
                raise UserError(f"{key}={show(value)}: {wrong}")
            if isinstance(element, str) and not is_shown(element):  # which stored.py would not read back
                raise UserError(
                    f"{key}={show(value)}: holds a control character, or a byte that is not UTF-8, which a stored "
                    "configuration cannot; rename it, or give a link to it with another name"
                )


def check_used(config: Any, given: Iterable[str], sources: Mapping[str, str] | None = None) -> None:
    """Raise a UserError if a key that the user gave has no effect with the other values chosen. sources: the files of
    those that the command line does not name."""
    given, sources = set(given), sources or {}
    given |= sources.keys()
    for owner, field, key in walk(config):
        if key in given and not in_use(owner, field):
            group = key.rpartition(".")[0]
            for other, values in field.metadata["only_if"].items():
                if getattr(owner, other) not in values:
                    now = getattr(owner, other)
                    wanted = " or ".join(f"{group}.{other}={show(v)}" for v in values)
                    where = f"{sources[key]}: " if key in sources else ""
                    raise UserError(f"{where}{key} has no effect with {group}.{other}={show(now)}: it needs {wanted}")


def check_keys(node: Any, path: str = "", words: Sequence[str] = ()) -> None:
    """Raise a UserError for a key that no dataclass declares: `+key=value` slips past Hydra's own check."""
    if not isinstance(node, DictConfig):
        return
    declared = names(OmegaConf.get_type(node))
    for key in node:
        if declared is not None and key not in declared:
            raise UserError(unknown(f"{path}{key}", declared, words))
        if not OmegaConf.is_missing(node, key) and not OmegaConf.is_interpolation(node, key):
            check_keys(node[key], f"{path}{key}.", words)


def typed(config: DictConfig, given: Iterable[str] = (), sources: Mapping[str, str] | None = None,
          words: Sequence[str] = ()) -> Any:  # fmt: skip
    """The dataclass tree of a composed configuration, every key known and every value in range.

    given and sources: the dotted keys that the user set, for `check_used`; words: the command line.
    """
    check_keys(config, words=words)
    missing = OmegaConf.missing_keys(config)
    if missing:
        raise UserError(f"{min(missing)} has no value: give one, as in {min(missing)}=…")
    tree = OmegaConf.to_object(config)
    check_ranges(tree)
    check_used(tree, given, sources)
    return tree


def plain(config: Any) -> dict[str, Any]:
    """A dataclass tree as nested dicts of plain values: what goes into YAML, JSON and checkpoints."""
    return dataclasses.asdict(config)


def as_yaml(tree: Any) -> bytes:
    """Plain values as YAML, the same as OmegaConf.to_yaml makes of them, by libyaml in a twentieth of the time."""
    options = {"default_flow_style": False, "allow_unicode": True, "sort_keys": False}
    try:
        return yaml.dump(tree, Dumper=_Dumper, **options).encode()
    except UnicodeEncodeError:  # a path with a byte that is no UTF-8, for which libyaml has no escape
        return yaml.dump(tree, Dumper=_Escaping, **options).encode()


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):
    """With quotes around text that OmegaConf or another reader, not PyYAML, would take for a number or a truth."""


class _Escaping(yaml.SafeDumper):
    """The same in Python."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    quoted = text in ("y", "Y", "n", "N")
    with suppress(ValueError):
        float(text)
        quoted = True
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if quoted else None)


_Dumper.add_representer(str, _text)
_Escaping.add_representer(str, _text)


def in_short(config: Any, width: int) -> str:
    """A configuration as a person reads it: a line for each group, without schedules that are constant and without
    what has no effect."""
    scalars = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    scalars = {key: value for key, value in scalars.items() if not dataclasses.is_dataclass(value)}
    lines = [" ".join(f"{key}={show(value)}" for key, value in scalars.items() if value not in (None, []))]
    for field in dataclasses.fields(config):
        group = getattr(config, field.name)
        if not dataclasses.is_dataclass(group):
            continue
        shown = {f.name: getattr(group, f.name) for f in dataclasses.fields(group) if in_use(group, f)}
        schedules = shown.pop("schedule", None)
        nested = vars(schedules) if field.name == "model" else {"": schedules} if schedules else {}
        name = shown.pop("name", "")
        values = [f"{key}={show(value)}" for key, value in shown.items() if value is not None]
        values += [
            f"schedule.{key}.kind={s.kind}".replace("..", ".") for key, s in nested.items() if s.kind != "constant"
        ]
        lines.append(textwrap.fill(" ".join([f"{field.name}={name}" if name else field.name, *values]), width,
                                   subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))  # fmt: skip
    return "\n".join(lines)


def flatten(tree: dict[str, Any], path: str = "") -> dict[str, Any]:
    """{"model": {"beta": 4}} -> {"model.beta": 4}."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
    return flat


# What may change in a run that continues: its length, its logging, its device, where the same data lie, and the
# optimizer's numbers (a run that diverged is resumed with a smaller learning rate). The rest would make it
# another run.
MAY_CHANGE = re.compile(
    r"(trainer\.(?!batch_size$)\w+|device(\.\w+)?|data\.(root|path)|optimizer\.(?!name$|history$|schedule)\w+|logger(\.\w+)?|tags)$"
)

# What may differ between two runs whose numbers are the same.
_NOT_HASHED = re.compile(
    r"(name|tags|logger\.\w+|data\.(root|path)|trainer\.(minutes|profile_steps|log_every|checkpoint_\w+|grid_epochs|objective_metric))$"
)


def config_hash(config: Any, content: str | None = None) -> str:
    """12 hexadecimal digits over the resolved configuration, without paths and logging, and a sum of what its data hold
    where these are the user's own: see data/card.py."""
    kept = {key: value for key, value in flatten(plain(config)).items() if not _NOT_HASHED.match(key)}
    kept["device.index"] = 0  # which of several GPUs was free
    kept |= {} if content is None else {"data.content": content}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:12]


def identity(config: Any) -> str:
    """A text that is equal for two configurations that describe the same run, however they were typed."""

    def signless(value: Any) -> Any:  # of a zero
        if isinstance(value, list):
            return [signless(element) for element in value]
        return value + 0.0 if isinstance(value, float) else value

    kept = {key: signless(value) for key, value in flatten(plain(config)).items()
            if key not in ("data.root", "name", "tags") and not key.startswith("logger.")}  # fmt: skip
    return json.dumps(kept, sort_keys=True)
