"""The keys in which runs differ. They are those of resolved configurations: how a run was typed plays no part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aetrain.sweeps.report.read import Member
from aetrain.sweeps.report.values import Missing, Value, is_number, show
from aetrain.sweeps.report.words import GROUPS, WHERE_IT_RAN


@dataclass(frozen=True)
class Axis:
    """A key that differs between runs. null comes first, then numbers, ascending; other values stand in the order of
    the runs."""

    key: str
    values: tuple[Value, ...]

    @property
    def numbers(self) -> tuple[float, ...]:
        return tuple(value for value in self.values if is_number(value))

    @property
    def is_numeric(self) -> bool:
        """Whether there is a scale to draw on: at least two numbers and, but for null, nothing else."""
        return len(self.numbers) > 1 and all(v is None or is_number(v) for v in self.values)

    @property
    def is_log(self) -> bool:
        """Whether a logarithmic scale suits the numbers: positive, over a factor of ten or more."""
        return self.is_numeric and min(self.numbers) > 0 and max(self.numbers) / min(self.numbers) >= 10

    @property
    def linear_below(self) -> float | None:
        """Where 0 is among positive numbers that span a decade: the smallest of them, up to which a scale is linear
        and beyond it logarithmic."""
        positive = [v for v in self.numbers if v > 0]
        spans = self.is_numeric and min(self.numbers) == 0 and len(positive) > 1 and max(positive) >= 10 * min(positive)
        return min(positive) if spans else None

    @property
    def name(self) -> str:
        """As the field writes it."""
        last = self.key.rpartition(".")[2]
        return {"model.beta": "β", "model.rho": "ρ"}.get(self.key, last)


def find_axes(members: Sequence[Member]) -> tuple[Axis, ...]:
    """The keys whose values differ between runs, the seed apart, and where they ran.

    A group's option brings keys and values with it. So a key is an axis if it differs between runs with the same
    options; and an option is one if it differs between runs that agree in the options before it: the networks that
    come with a model are no axis, those that were chosen for it are."""
    configs = [member.config for member in members if member.config]
    keys = dict.fromkeys(key for config in configs for key in config)
    options = sorted((key for key in keys if key.endswith(".name")), key=_rank)
    found, alike = [], [configs]  # alike: lists of configurations that agree in the options so far
    for option in options:
        if any(_differ(configs, option) for configs in alike):
            found.append(option.removesuffix(".name"))
        alike = [part for configs in alike for part in _parts(configs, option)]
    others = [key for key in keys if key not in options and key not in WHERE_IT_RAN and key != "seed"]
    found += [key for key in others if any(_differ(configs, key) for configs in alike)]
    return tuple(Axis(key, _values(members, key)) for key in dict.fromkeys(found))


def _rank(option: str) -> tuple[int, str]:
    group = option.removesuffix(".name")
    return GROUPS.index(group) if group in GROUPS else len(GROUPS), group


def _differ(configs: Iterable[Mapping[str, Value]], key: str) -> bool:
    """Between those that have the key: that one lacks it says only that it was made by another version."""
    return len({_identity(config[key]) for config in configs if key in config}) > 1


def _parts(configs: Iterable[Mapping[str, Value]], key: str) -> list[list[Mapping[str, Value]]]:
    parts: dict = {}
    for config in configs:
        parts.setdefault(_identity(config.get(key)), []).append(config)
    return list(parts.values())


def _identity(value: Value) -> tuple[bool, Value]:
    """Equal for 1 and 1.0, but not for 1 and true."""
    return isinstance(value, bool), value


def _values(members: Iterable[Member], key: str) -> tuple[Value, ...]:
    values = [value for member in members if not isinstance(value := member.value(key), Missing)]
    unique = list({_identity(value): value for value in reversed(values)}.values())[::-1]
    others = [value for value in unique if value is not None and not is_number(value)]
    return (*[None] * (None in unique), *sorted(filter(is_number, unique)), *others)


def place(member: Member, axes: Iterable[Axis]) -> tuple[Value | Missing, ...]:
    """A run's values on the axes."""
    return tuple(member.value(axis.key) for axis in axes)


def setting_label(key: str, value: Value | Missing) -> str:
    """`latent_dim 5` for model.latent_dim=5, `vae` for model=vae."""
    group, _, name = key.rpartition(".")
    return f"{name} {show(value)}" if group else show(value)
