"""A configuration as the words of a command line, written from typed values by a grammar of our own.

Nothing that a file holds gets into a command but what has the form of a key of ours and of a plain value.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml
from omegaconf import MISSING as OMITTED

from aetrain.config import stored
from aetrain.config.conf import CONF
from aetrain.config.schema.net import Net
from aetrain.config.schema.schedule import Schedule
from aetrain.sweeps.report.read import Member
from aetrain.sweeps.report.values import MISSING, Missing, Odd, Value, flatten

GROUPS = ("task", "model", "net", "prior", "data", "optimizer", "trainer", "device")
WHERE_IT_RAN = ("data.root", "device.index", "device.threads", "name", "tags")  # no result depends on them
KEY = re.compile(r"[a-z][a-z0-9_]{0,40}(\.[a-z][a-z0-9_]{0,40}){0,6}")
OPTION = re.compile(r"[a-z][a-z0-9_]{0,40}")
PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")  # text that Hydra takes as it is, but for these:
RESERVED = ("null", "true", "false", "nan", "inf")
LONGEST = 500  # characters of a value


def word(key: str, value: Value | Missing) -> str | None:
    """`key=value` as Hydra reads it, before the shell's own quoting; None for what is not to be written."""
    text = _text(value)
    ours = KEY.fullmatch(key) and (key in ("seed", "init") or key.partition(".")[0] in GROUPS)
    return f"{key}={text}" if ours and text is not None else None


def sweep_word(key: str, values: Sequence[Value]) -> str | None:
    """`key=value,value,…`: a run for each."""
    words = [word(key, value) for value in values]
    return None if None in words or not words else ",".join([words[0], *(w.partition("=")[2] for w in words[1:])])


def folder_word(folder: Path) -> str | None:
    """What adds runs to a sweep."""
    text = _text(str(folder))
    return None if text is None else f"hydra.sweep.dir={text}"


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        short = f"{value:.12g}"
        return (short if float(short) == value else repr(value)) if math.isfinite(value) else None
    if isinstance(value, tuple):
        items = [_text(item) for item in value]
        return None if None in items else f"[{','.join(items)}]"
    if not isinstance(value, str) or isinstance(value, Odd):
        return None
    if len(value) > LONGEST or not value.isprintable() or "${" in value:  # OmegaConf would compute the last
        return None
    if PLAIN.fullmatch(value) and value.lower() not in RESERVED:
        return value
    # Backslashes count only before a quotation mark.
    return '"' + re.sub(r'(\\*)("|\Z)', lambda m: m[1] * 2 + m[2].replace('"', '\\"'), value) + '"'


def differing(config: Mapping[str, Value]) -> dict[str, Value]:
    """What makes a configuration of the defaults: the model and other groups' options, then values, by key."""
    choices, values = defaults(config)
    options = {group: config[f"{group}.name"] for group in GROUPS if f"{group}.name" in config}
    found = {group: name for group, name in options.items() if group == "model" or name != choices.get(group)}
    for key, value in config.items():
        if key in WHERE_IT_RAN or key == "seed" or key.endswith(".name") or (key == "init" and value is None):
            continue
        # A schedule has the defaults of the one that is declared, where its model has none of its own for it.
        is_declared = ".schedule." in key and key not in values
        default = values.get(f"schedule.{key.rpartition('.')[2]}" if is_declared else key, MISSING)
        if default is MISSING or not same(default, value):
            found[key] = value
    return found


def common(members: Iterable[Member]) -> dict[str, Value]:
    """What all runs whose configuration is known have in common beyond the defaults, by key."""
    known = [member for member in members if member.config]
    if not known:
        return {}
    first, *rest = known
    return {k: v for k, v in differing(first.config).items() if all(same(m.value(k), v) for m in rest)}


def same(a: Any, b: Any) -> bool:
    """1 is 1.0, and not true."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def defaults(config: Mapping[str, Value]) -> tuple[dict[str, str], dict[str, Value]]:
    """The options that groups have unless they are chosen, and the values of the options that this configuration has,
    as conf/ holds them; a schedule's under `schedule.`. Of an option that is not in conf/, nothing is known."""
    choices = dict(_file(CONF / "config.yaml")[1])
    choices |= _option("model", config.get("model.name", choices.get("model")))[1]
    chosen = {group: config.get(f"{group}.name", choices.get(group)) for group in GROUPS}
    tree: dict[str, Any] = {group: dict(_option(group, chosen[group])[0]) for group in GROUPS}
    if tree["net"]:
        tree["net"] = {field.name: field.default for field in fields(Net) if field.default != OMITTED} | tree["net"]
    else:
        del tree["net"]  # of the first generation, where it was a part of the model
    tree["prior"] = tree["prior"] or None  # of a model that takes none
    tree["optimizer"]["schedule"] = asdict(Schedule())
    tree["model"] = {key: _chosen(value, config) for key, value in tree["model"].items()}
    tree = stored.renamed(tree)
    tree["schedule"] = tree["optimizer"].pop("schedule")
    choices.setdefault("net", tree.get("net", {}).get("name"))
    return choices, flatten(tree)


def _chosen(default: Any, config: Mapping[str, Value]) -> Any:
    """A default of conf/model/, where it depends on another value, of the model or of another group, by that."""
    found = re.fullmatch(r"\$\{aetrain\.by:\$\{([\w.]+)\},(\{.*\})\}", default) if isinstance(default, str) else None
    if found is None:
        return default
    table = yaml.safe_load(found[2].replace(":", ": ").replace(",", ", "))
    key = f"model{found[1]}" if found[1].startswith(".") else found[1]
    return table.get(config.get(key), next(iter(table.values())))  # as compose.py's resolver


def _option(group: str, name: Any) -> tuple[dict[str, Any], dict[str, str]]:
    if not isinstance(name, str) or not OPTION.fullmatch(name):
        return {}, {}
    return _file(CONF / group / f"{name}.yaml")


@functools.cache
def _file(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The values in a file of conf/, with those of the files beside it that it builds on, and the groups' options that
    it chooses."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, {}
    values: dict[str, Any] = {}
    choices: dict[str, str] = {}
    for entry in tree.pop("defaults", []):
        if isinstance(entry, dict):
            ((key, option),) = entry.items()
            group = key.lstrip("/").partition("@")[0]
            choices |= {group: option} if group in GROUPS else {}
        elif not entry.startswith("/") and entry != "_self_":
            values |= _file(path.with_name(f"{entry.partition('@')[0]}.yaml"))[0]
    tree.pop("hydra", None)
    return values | tree, choices
