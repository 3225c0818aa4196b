"""One line for a mistake in the configuration, that says what to type."""

from __future__ import annotations

import re
from collections.abc import Iterable

from omegaconf.errors import OmegaConfBaseException

from aetrain.config.fields import names
from aetrain.config.synonyms import MOVED
from aetrain.config.tables import GROUPS
from aetrain.config.words import suggest


def explain(error: BaseException) -> str:
    """One line for what Hydra or OmegaConf raised about the user's configuration."""
    options = getattr(error, "options", None)
    missing = getattr(error, "missing_cfg_file", None)
    if missing:
        group, _, name = str(missing).rpartition("/")
        shown = [option for option in options or [] if not option.startswith("_")]
        return f"{group or 'config'}={name}: there is no such option; {suggest(name, shown)}"
    text = " ".join(re.sub(r"\s*See https://\S+.*", "", str(error), flags=re.DOTALL).split())
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__ or error.__context__
    if not isinstance(cause, OmegaConfBaseException):
        return text
    key, reason = cause.full_key or str(cause.key), " ".join(str(cause.msg or cause).split("\n")[0].split())
    declared = names(cause.object_type)
    if declared is not None and str(cause.key) not in declared and f"'{cause.key}'" in reason:
        return unknown(key, [name for name in declared if name != "schedule"])
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


def unknown(key: str, siblings: Iterable[str]) -> str:
    """The line about a dotted key that is not declared. siblings: the names that are, in its place."""
    if key in MOVED:
        return f"unknown key '{key}': it is now {MOVED[key]}"
    if key.endswith("schedule.gamma") or re.search(r"\.schedule\.\w+\.gamma$", key):
        return f"unknown key '{key}': it is now {key.removesuffix('gamma')}factor"
    name = key.rpartition(".")[2]
    return f"unknown key '{key}': {suggest(name, siblings)}{_owners(key, name)}"


def _owners(key: str, name: str) -> str:
    """Which options have a key that this one lacks: `model.beta` is typed for the vae more often than any other."""
    group = key.partition(".")[0]
    options = GROUPS.get(group, {}) if key.count(".") == 1 else {}
    owners = [option for option, cls in options.items() if name in (names(cls) or ())]
    return f"; {name} belongs to {' and '.join(f'{group}={option}' for option in owners)}" if owners else ""
