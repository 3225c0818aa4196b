"""Declaring a configuration value: its meaning, unit, range and choices stand here once, for checks and --help alike.

The default is in conf/, in YAML. A scalar that enters the maths is an `hparam`: the model keeps it as a tensor, and it
gets a schedule of its own; whatever decides shapes or structure is a `setting`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from omegaconf import MISSING

from aetrain.config.words import suggest


class _Given:
    """For only_if: any value but null."""

    def __contains__(self, value: Any) -> bool:
        return value is not None

    def __iter__(self) -> Iterator[str]:
        yield "<number>"


GIVEN = _Given()


def setting(help: str, *, default: Any = MISSING, **limits: Any) -> Any:
    """A field whose value comes from YAML. help: what it is, for --help.

    Limits: min, max (inclusive), above, below (exclusive), choices, may_be_empty (of lists), unit (words only),
    instead={value: "what to give"} for values that are no choice though people expect them, and
    only_if={"key": (values…)}: given on the command line without one of these, the value would be ignored, so it is
    refused. Limits apply to every element of a list; null passes them where the type is Optional."""
    metadata = {"help": help, **limits}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def hparam(help: str, **limits: Any) -> Any:
    """A scalar that enters the objective: see `setting` for the limits, `hparams` for what is made of it."""
    return setting(help, hparam=True, **limits)


def names(cls: Any) -> list[str] | None:
    """The keys that a dataclass declares; None for anything else. Class variables do not count."""
    return [field.name for field in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else None


def in_use(config: Any, field: dataclasses.Field) -> bool:
    """Whether this field has any effect with the other values of `config`."""
    return all(getattr(config, key) in values for key, values in field.metadata.get("only_if", {}).items())


def hparams(config: Any) -> dict[str, float]:
    """The hparams of a model's configuration that take part in its objective, by name."""
    fields = (f for f in dataclasses.fields(config) if f.metadata.get("hparam") and in_use(config, f))
    return {f.name: float(getattr(config, f.name)) for f in fields if getattr(config, f.name) is not None}


# Of whole numbers without a limit of their own: sizes never need more, and steps and epochs may mean "for ever".
LARGEST, FOR_EVER = 2**31 - 1, 2**63 - 1


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
    largest = FOR_EVER if limits.get("unit") in ("steps", "epochs") else LARGEST
    most = limits.get("max", largest if isinstance(value, int) else None)
    if most is not None and not value <= most:
        return f"it must be at most {most}"
    if "above" in limits and not value > limits["above"]:
        return f"it must be greater than {limits['above']}"
    if "below" in limits and not value < limits["below"]:
        return f"it must be less than {limits['below']}"
    return None


def range_in_words(limits: dict[str, Any]) -> str:
    """The range as a reader of --help wants it: "≥ 0", "0 < … < 1", "a | b"; empty where anything goes."""
    if "choices" in limits:
        return " | ".join(map(str, limits["choices"]))
    low = f"{limits['above']} <" if "above" in limits else f"{limits['min']} ≤" if "min" in limits else ""
    high = (
        f"< {limits['below']}"
        if "below" in limits
        else f"≤ {limits['max']}"
        if limits.get("max", 2**62) < 2**62
        else ""
    )
    if low and high:
        return f"{low} … {high}"
    if low:
        return f"{'>' if '<' in low else '≥'} {low.split()[0]}"
    return high
