"""What a mistyped word of the command line was meant to be, as one would type it. Knows neither Hydra nor torch."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from aetrain.config import packages
from aetrain.config.fields import names
from aetrain.config.schema import Config
from aetrain.config.schema.schedule import Schedule
from aetrain.config.synonyms import SYNONYMS, VALUES
from aetrain.config.tables import GROUPS, TRAINER
from aetrain.config.words import closest, show, suggest

PATHS = ("resume", "run", "sweep")  # words that take a path and are no keys
WHOLE = ("seed", "name", "tags", "init")  # keys that belong to no group
YES, NO = ("true", "1", "yes", "on", ""), ("false", "0", "no", "off")


# --- keys


def meant(key: str, value: str, words: Sequence[str], siblings: Iterable[str] = ()) -> str | None:
    """What to type for key=value, where there is no such key: "trainer.epochs=20". None without a good guess.

    words: the whole command line, for what is chosen. siblings: the names that there are in the key's place."""
    chosen, leaf, siblings = _chosen(words), _plain(key.rpartition(".")[2]), list(siblings)
    is_inner = leaf in (names(Schedule) or ()) and key.count(".") == 2
    if ("schedule" in key or is_inner) and (found := _schedule(key, value, chosen)):
        return found
    parent, _, _ = key.rpartition(".")
    if parent and leaf in GROUPS:
        return option_meant(leaf, value) or f"{leaf}={value if value in options(leaf) else '…'}"
    places = _places(leaf, key.partition(".")[0])
    if places and (leaf not in SYNONYMS or _ready(places, chosen)):
        return _typed(places, value, chosen)
    if leaf in ("verbose", "debug") and not parent and value.lower() in YES:
        return {"verbose": "-v", "debug": "debug=fast"}[leaf]
    if (used := leaf.removeprefix("use_")) in GROUPS["logger"] and value.lower() in YES:
        return f"logger={used}"
    if leaf in SYNONYMS:
        return _translated(SYNONYMS[leaf], leaf, value, words, chosen)
    if near := closest(leaf, siblings):
        return f"{parent}.{near}={value}" if parent else _typed(_places(near, "") or {near: ()}, value, chosen)
    if parent and (group := closest(parent, [*GROUPS, "trainer"])) and group != parent:
        return meant(f"{group}.{leaf}", value, words)
    if near := closest(leaf, [*leaves(), *SYNONYMS]):
        return meant(near, value, words)
    return f"{parent}={value}" if is_key(parent) else None


def flag_meant(name: str, value: str, words: Sequence[str]) -> str | None:
    """What to type for --name value, which is how other tools spell a key. name: without its hyphens."""
    name = {"e": "epochs", "b": "batch_size"}.get(name, _plain(name))
    if name in ("no_cuda", "no_gpu", "cpu"):
        return "device=cpu"
    if name in GROUPS or name in (*PATHS, "experiment"):
        return option_meant(name, value) or f"{name}={value or '…'}"
    group, dot, _ = name.partition(".")
    return meant(name, value, words) if name and (not dot or group in (*GROUPS, "trainer")) else None


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _schedule(key: str, value: str, chosen: Mapping[str, str]) -> str | None:
    """For a key about a schedule: where that schedule's kind, or another of its keys, is set."""
    parts = re.split(r"[._]", key) if "_schedule" in key else key.split(".")
    inner = parts[-1] if parts[-1] in (names(Schedule) or ()) else "kind"
    used = [part for part in parts if part not in ("schedule", "model", "optimizer", inner)]
    if used in ([], ["lr"]) and parts[0] != "model":
        return f"optimizer.schedule.{inner}={value}" if key != f"optimizer.schedule.{inner}" else None
    if not used and parts[0] == "model":
        own = [name for name in _hparams(GROUPS["model"].get(chosen.get("model", ""))) if name != "sigma"]
        used = own[-1:] or ["beta"]
    if len(used) == 1:
        owners = [option for option, cls in GROUPS["model"].items() if used[0] in _hparams(cls)]
        if owners:
            return _typed({f"model.schedule.{used[0]}.{inner}": owners}, value, chosen)
    return None


def _hparams(cls: type | None) -> list[str]:
    """The hparams of a model's dataclass, its own last."""
    return [field.name for field in dataclasses.fields(cls) if field.metadata.get("hparam")] if cls else []


def _translated(key: str, leaf: str, value: str, words: Sequence[str], chosen: Mapping[str, str]) -> str | None:
    """The typed form of a synonym, with the value that its word implies. None where the value belongs to no path."""
    low = value.lower()
    if key == "resume" and low and low in (*YES, *NO):
        return None
    if key == "debug":
        return "debug=fast"
    if key == "model.likelihood" and low == "elbo":
        return "model=vae"
    if key == "device" and leaf in ("gpus", "num_gpus", "n_gpu", "n_gpus", "devices") and low.isdigit():
        return _device(low if low == "0" else "cuda")  # a number of them
    if key == "device":
        return _device(value if leaf == "accelerator" or not low.isdigit() else f"cuda:{low}")
    if key == "device.precision":
        implied = {"fp16": "fp16", "half": "fp16"}.get(leaf, "bf16")
        return f"{key}={'fp32' if low in NO else VALUES[key].get(_plain(low), implied if low in YES else value)}"
    if key == "device.threads" and leaf in ("workers", "n_jobs", "num_workers", "n_workers") and _sweeps(words):
        return f"hydra.launcher.workers={value}"
    if key == "data.binarization" and low in YES:
        return f"{key}=dynamic"
    if key == "trainer.compile" and not low:
        return f"{key}=true"
    if key in GROUPS:
        return option_meant(key, value) or f"{key}={value or '…'}"
    if key == "data.root" and not _ready(_places("root", "data"), chosen):
        key = "data.path"
    if key not in WHOLE and (places := _places(key.rpartition(".")[2], key.partition(".")[0])):
        return _typed(places, value, chosen)
    return f"{key}={value or '…'}"


def _device(value: str) -> str:
    number = re.search(r"\d+$", value)
    if value.lower() in (*NO, "cpu"):
        return "device=cpu"
    return f"device=cuda device.index={number[0]}" if number and number[0] != "0" else "device=cuda"


def _sweeps(words: Sequence[str]) -> bool:
    return "-m" in words or "--multirun" in words


@functools.cache
def leaves() -> dict[str, dict[str, list[str]]]:
    """Name of a value → its dotted keys → the options of its group that have it."""
    found: dict[str, dict[str, list[str]]] = {key: {key: []} for key in WHOLE}
    for name in names(TRAINER) or ():
        found.setdefault(name, {})[f"trainer.{name}"] = []
    for group, table in GROUPS.items():
        for option, cls in table.items():
            for name in names(cls) or ():
                if name not in ("name", "schedule"):
                    found.setdefault(name, {}).setdefault(f"{group}.{name}", []).append(option)
    return found


def _places(leaf: str, group: str) -> dict[str, list[str]]:
    """The dotted keys that end so, those of `group` alone where it has one."""
    squashed = leaf.replace("_", "")
    found = leaves().get(leaf) or next(
        (places for name, places in leaves().items() if name.replace("_", "") == squashed), {}
    )
    return {key: options for key, options in found.items() if key.startswith(f"{group}.")} or dict(found)


def _ready(places: Mapping[str, Sequence[str]], chosen: Mapping[str, str]) -> bool:
    """Whether an option that is chosen has one of these keys."""
    return any(not options or chosen.get(key.partition(".")[0]) in options for key, options in places.items())


def fits(key: str, words: Sequence[str]) -> bool:
    """Whether this is the dotted key of an option that is chosen."""
    places = leaves().get(key.rpartition(".")[2], {})
    return not places or (key in places and _ready({key: places[key]}, _chosen(words)))


def _typed(places: Mapping[str, Sequence[str]], value: str, chosen: Mapping[str, str]) -> str:
    """The places with the value, each behind the option that has it, unless that is chosen."""
    ready, others = [], []
    for key, options in places.items():
        group, text = key.partition(".")[0], f"{key}={fitting(key, value, chosen.get(key.partition('.')[0]))}"
        if not options or chosen.get(group) in options:
            ready.append(text)
        else:
            others += [f"{group}={option} {text}" for option in options]
    return " or ".join(ready or others[:3])


def fitting(key: str, value: str, option: str | None = None) -> str:
    """The value as the key takes it: a list in brackets, another name of one of its choices as ours. option: the one
    chosen of its group."""
    if list in kinds(key) and value and not value.startswith("["):
        return f"[{value}]"
    cls = GROUPS.get(key.partition(".")[0], {}).get(option or "")
    limits = next((f.metadata for f in dataclasses.fields(cls) if f.name == key.rpartition(".")[2]), {}) if cls else {}
    instead = limits.get("instead", {})
    if (asked := _renamed(key, value, instead) or value) in instead:
        return instead[asked].partition(f"give {key}=")[2]
    return _renamed(key, value, limits.get("choices")) or value or "…"


def _renamed(key: str, value: str, choices: Iterable[str] | None) -> str | None:
    """The choice that this is another name for."""
    others = (
        VALUES.get(re.sub(r"^model\.schedule\.\w+\.", "optimizer.schedule.", key), {}).get(_plain(value), "").split()
    )
    return next((other for other in others if choices is None or other in choices), None)


def _chosen(words: Sequence[str]) -> dict[str, str]:
    """Group → option, as far as the command line, an experiment of ours and the defaults say."""
    given = {key.lstrip("+"): value for key, sign, value in (word.partition("=") for word in words) if sign}
    chosen = _of_file("config") | _of_file(f"experiment/{given.get('experiment')}")
    chosen |= {group: given[group] for group in GROUPS if group in given}
    return _of_file(f"model/{chosen.get('model')}") | chosen


@functools.cache
def _of_file(name: str) -> dict[str, str]:
    """Group → option of the defaults list of a file of ours."""
    paths = [folder / f"{name}.yaml" for folder in packages.conf_folders() if re.fullmatch(r"[\w/]{1,100}", name)]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return {}
    defaults = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("defaults", [])
    entries = [entry for default in defaults if isinstance(default, dict) for entry in default.items()]
    return {re.sub(r"^override\s+|^/|@.*", "", key).lstrip("/"): str(value) for key, value in entries}


# --- options of groups


def option_meant(group: str, value: str) -> str | None:
    """What to type for group=value, where there is no such option; None without a good guess."""
    if group == "device" and re.fullmatch(r"((cuda|gpu):)?\d+", value):
        return _device(value)
    shown = options(group)
    near = VALUES.get(group, {}).get(_plain(value)) or closest(value, shown)
    return f"{group}={near}" if near in shown else None


def options(group: str) -> list[str]:
    """The options of a group."""
    if group in GROUPS:
        return sorted(GROUPS[group])
    return packages.options(group)


def no_option(group: str, value: str, shown: Iterable[str] | None = None) -> str:
    """The line about an option that does not exist."""
    shown = sorted(option for option in shown or () if not option.startswith("_")) or options(group)
    near = option_meant(group, value)
    if not near and (own := closest(value, shown)):
        near = f"{group}={own}"
    told = f"{group}={value}: there is no such option; "
    return told + (f"did you mean {near}?" if near else f"choose from: {', '.join(shown)}")


def no_prior(words: Sequence[str]) -> str | None:
    """The line about prior=…, or a key of it, where the model, or one of a sweep, takes none."""
    given = next((word for word in words if re.match(r"\+*prior[.=]", word)), None)
    models = _chosen(words).get("model", "").split(",")
    without = next((name for name in models if not getattr(GROUPS["model"].get(name), "takes_prior", True)), None)
    if given is None or without is None:
        return None
    *others, last = (name for name, cls in GROUPS["model"].items() if cls.takes_prior)
    return f"{given}: model={without} takes none; give model={', '.join(others)} or {last}"


def no_choice(key: str, value: Any, choices: Iterable[Any], instead: Mapping[str, str]) -> str:
    """The line about a value that is none of a key's choices. instead: of some of them, what to give."""
    choices, told = [str(choice) for choice in choices], show(value)
    if near := _renamed(key, told, instead):
        return f"{key}={told}: {instead[near]}"
    if told in instead:
        return f"{key}={told}: {instead[told]}"
    if near := _renamed(key, told, choices):
        return f"{key}={told}: did you mean {key}={near}?"
    return f"{key}={told}: {suggest(told, choices, key)}"


# --- what a key takes


def is_key(key: str) -> bool:
    """Whether some run has this key."""
    return (
        key in WHOLE
        or key in leaves().get(key.partition(".")[2], {})
        or bool(re.fullmatch(r"(optimizer\.schedule|model\.schedule\.\w+)\.\w+|hydra(\.\w+)+", key))
    )


def is_text(key: str) -> bool:
    """Whether the key takes plain text."""
    return str in (kind := kinds(key)) or not kind


def is_only_text(key: str) -> bool:
    """Whether every value of the key is text of the user's own, such as a path, and not one of some choices."""
    group, _, name = key.rpartition(".")
    if re.fullmatch(r"hydra\.(run\.dir|sweep\.(sub)?dir)", key):
        return True
    classes = (TRAINER,) if group == "trainer" else (Config,) if not group else tuple(GROUPS.get(group, {}).values())
    found = [field for cls in classes for field in dataclasses.fields(cls) if field.name == name]
    return kinds(key) == {str} and not any("choices" in field.metadata for field in found)


def kinds(key: str) -> set[Any]:
    """The types that a known key's value may have, null aside."""
    group, _, name = key.partition(".")
    classes = (TRAINER,) if group == "trainer" else (Config,) if not name else tuple(GROUPS.get(group, {}).values())
    hints = [typing.get_type_hints(cls).get(name or key) for cls in classes]
    found = {kind for hint in hints if hint is not None for kind in (typing.get_args(hint) or (hint,))}
    if any(typing.get_origin(hint) is list for hint in hints):
        found.add(list)
    return found - {type(None)}


def expected(key: str) -> str:
    """What to give as a key's value."""
    found = kinds(key)
    if list in found:
        return f"give a list, as in {key}=[{'400,200' if int in found else '0.9,0.999'}]"
    if bool in found:
        return f"give {key}=true or {key}=false"
    return f"give a whole number, as in {key}=10" if int in found else f"give a number, as in {key}=0.5"
