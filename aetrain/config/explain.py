"""One line for a mistake in the configuration, that says what to type. What Hydra, its grammar and OmegaConf say of it
is meant for programmers and is not shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import yaml
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from aetrain.config.command import several, unreadable
from aetrain.config.fields import names
from aetrain.config.schema import Config
from aetrain.config.synonyms import MOVED
from aetrain.config.tables import GROUPS
from aetrain.config.typos import expected, fitting, is_key, is_text, kinds, meant, no_option, no_prior
from aetrain.config.words import closest, suggest


def explain(error: BaseException, words: Sequence[str] = ()) -> str:
    """One line for what Hydra, OmegaConf or YAML raised about the user's configuration. words: the command line."""
    if isinstance(error, yaml.YAMLError):
        return _yaml(error)
    if word := getattr(error, "override", None):
        return unreadable(str(word))
    if told := no_prior(words):
        return told
    text = " ".join(re.sub(r"\s*See https://\S+.*", "", str(error), flags=re.DOTALL).split())
    if missing := getattr(error, "missing_cfg_file", None):
        return _missing(str(missing), getattr(error, "options", None), text, words)
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__ or error.__context__
    if isinstance(cause, OmegaConfBaseException):
        where = _place(text) if not _value(str(cause.full_key), words) else ""
        told = _of_value(cause, text, words)
        return where + re.sub(r"=…\?$", "?", told) if where and not told.startswith(where) else told
    return _of_composition(text, words)


def _missing(path: str, options: Iterable[str] | None, text: str, words: Sequence[str]) -> str:
    group, _, name = path.rpartition("/")
    where = _place(text) if f"{group}={name}" not in words else ""
    if not group:
        return f"{where}{name}.yaml: there is no such file; give its folder with --config-dir"
    return where + no_option(group, name, options)


def _place(text: str) -> str:
    """The user's own file of which Hydra speaks."""
    place = re.match(r"In '(.+?)'", text)
    return f"{place[1]}.yaml: " if place and not re.match(r"config$|hydra/", place[1]) else ""


def _yaml(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
    where = f"{mark.name}, line {mark.line + 1}: " if mark else ""
    if "'\\t'" in problem:
        return f"{where}a tab, which YAML does not take; indent with blanks"
    return f"{where}not readable as YAML: {' '.join(problem.split())}"


def _of_composition(text: str, words: Sequence[str]) -> str:
    """What Hydra raised about groups and words as a whole."""
    if found := re.search(r"(?:Ambiguous value for argument|Sweep parameters) '(.*?)'(?: 1\.| requires)", text):
        return several(found[1].replace("\\'", "'"), words)
    if found := re.search(r"Sweeping over Hydra's configuration is not supported : '(.*)'", text):
        return f"{found[1]}: is the same for all members of a sweep; give one value"
    where = _place(text)
    if found := re.search(r"Could not override '([^']*?)'", text):
        key = found[1]
        return where + unknown(key, [], words) if not where else f"{where}{no_group(key)}"
    if found := re.search(r"config group '(.*?)' does not exist", text):
        return where + no_group(found[1])
    if found := re.search(r"Multiple values for (\S+?)\.? To override a value use '(.*?)'", text):
        return f"{where}{found[1]} is chosen twice; in a YAML file's defaults write '{_slashed(found[2])}'"
    if found := re.search(r"Could not append to config. An item is already at '(.*?)'", text):
        return f"+{found[1]}: it has a value already; did you mean {found[1]}={_value(found[1], words) or '…'}?"
    if "hydra.searchpath is only supported" in text:
        return f"{where}hydra.searchpath belongs on the command line or into the file that -cn names"
    if found := re.search(r"hydra.searchpath must be a list of strings", text):
        return "hydra.searchpath: give a list, as in 'hydra.searchpath=[\"my_conf\"]'"
    if re.search(r"[Cc]onfig group override (deletion )?(value )?must be", text):
        return "a group takes one option, as in model=vae"
    return text or "the configuration cannot be composed"


def _slashed(override: str) -> str:
    return re.sub(r"^override (?!/)", "override /", override)


def no_group(key: str) -> str:
    """The line about a group that does not exist."""
    return f"{key}: there is no such group; {suggest(key.lstrip('/'), [*GROUPS, 'trainer', 'experiment'])}"


def _of_value(cause: OmegaConfBaseException, text: str, words: Sequence[str]) -> str:
    """What OmegaConf raised about a key or its value."""
    key, reason = cause.full_key or str(cause.key), " ".join(str(cause.msg or cause).split("\n")[0].split())
    value = _value(key, words)
    if not value and is_key(key) and (below := _below(key, words)):
        return unknown(below[0], [], words)
    if "is not in struct" in reason:  # of Hydra's own part
        siblings = getattr(cause.parent_node, "keys", list)()
        return unknown(key, [str(name) for name in siblings if name != "_target_"], words)
    declared = names(cause.object_type)
    if declared is not None and str(cause.key) not in declared and f"'{cause.key}'" in reason:
        return unknown(key, [name for name in declared if name != "schedule"], words)
    if isinstance(cause, InterpolationResolutionError) or "nterpolation" in reason:
        named = re.search(r"key '(.*?)'|variable '(.*?)'", reason)
        name = (named[1] or named[2]) if named else "something"
        return f"{key}={value or '${…}'}: ${{…}} names {name}, which is not there"
    shown = re.search(r"Value '(.*?)'", reason)
    told = f"{key}={value or (shown[1] if shown else '?')}"
    if "not a ListConfig, list or tuple" in reason or (list in kinds(key) and "Cannot" in reason):
        if value and "{" not in value:
            return f"{told}: did you mean {key}={fitting(key, value)}?"
        return f"{told}: {expected(key)}"
    if value.startswith("[") and "," in value and list not in kinds(key) and kinds(key):
        several = value.strip("[]").replace(" ", "")
        return f"{told}: it takes one value; a sweep over several is aetrain -m {key}={several}"
    number = re.search(r"could not be converted to (Integer|Float|Boolean)|is not a valid (bool|int|float)", reason)
    if (number and kinds(key)) or (key and key != "None" and kinds(key) and not is_text(key)):
        return f"{told}: {expected(key)}"
    if number:
        kind = (number[1] or number[2]).lower()
        return f"{told}: give " + {"b": "true or false", "i": "a whole number", "f": "a number"}[kind[0]]
    if cause.full_key or (cause.key is not None and str(cause.key) != "None"):
        return f"{told}: give plain text" if kinds(key) else f"{told}: it does not take this value"
    if "ListConfig" in reason:
        return f"{_place(text) or 'a file of your YAML: '}a list, where lines of the form key: value are needed"
    return f"{_place(text)}{reason}"


def _value(key: str, words: Sequence[str]) -> str:
    """What the command line says of a key; empty where it says nothing."""
    given = [word.partition("=") for word in words]
    return next((value for name, sign, value in reversed(given) if sign and name.lstrip("+") == key), "")


def _below(key: str, words: Sequence[str]) -> list[str]:
    """The keys below this one that the command line gives."""
    given = [word.partition("=")[0].lstrip("+") for word in words if "=" in word]
    return [name for name in given if name.startswith(f"{key}.")]


def unknown(key: str, siblings: Iterable[str], words: Sequence[str] = ()) -> str:
    """The line about a dotted key that is not declared. siblings: the names that are, in its place; words: the command
    line."""
    siblings = [name for name in siblings if not name.startswith("_")]
    if key in (names(Config) or ()):
        return "the file that -cn names does not build on ours; begin it with 'defaults: [config, _self_]'"
    if not _value(key, words) and (below := _below(key, words)):
        key = below[0]
    value, told = _value(key, words), f"unknown key '{key}'"
    if "@" in key and (name := key.partition("@")[0]):
        return f"{told}: did you mean {name}={value or '…'}?"
    if "/" in key and not key.startswith("hydra/"):
        key = key.replace("/", ".")
    if key == "experiment":
        files = " or ".join(f"experiment/{name}.yaml" for name in value.split(",") if name) or "its file"
        return (
            f"experiment={value or '…'}: does not say where its values belong; write '# @package _global_' as the "
            f"first line of {files}"
        )
    if key in MOVED:
        place = MOVED[key]
        example = f", as in {place}={fitting(place, value)}" if value and place.startswith("net.h") else ""
        return f"{told}: it is now {place}{example}"
    if key.endswith("schedule.gamma") or re.search(r"\.schedule\.\w+\.gamma$", key):
        return f"{told}: it is now {key.removesuffix('gamma')}factor"
    group, _, name = key.rpartition(".")
    if not group.startswith("hydra"):
        near = meant(key, value, words, siblings)
    elif near := closest(name, siblings):
        near = f"{group}.{near}={value}"
    if near:
        return f"{told}: did you mean {near}?"
    return f"{told}: {suggest(name, siblings)}" if siblings else told
