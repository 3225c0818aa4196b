"""Plain values as files hold them: of bounded size, printable, and equal where they mean the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aetrain.document import printable

LONGEST = 2000  # characters of a text
LARGEST_NUMBER = 1e100  # beyond, squares would overflow
DEEPEST, MOST_KEYS, MOST_ITEMS = 8, 2000, 100  # of a configuration, and of a list in it

Scalar = bool | int | float | str | None
Value = Scalar | tuple[Scalar, ...]


class Missing:
    """The type of MISSING: there is no such key. null is a value, this is none."""

    def __repr__(self) -> str:
        return "–"


MISSING = Missing()


class Odd(str):
    """Text that stands for what is no plain value, or that is not what the file holds to the letter. It is shown, and
    never written into a command."""


def number(value: Any) -> float | None:
    """A finite float of usual size, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -LARGEST_NUMBER < value < LARGEST_NUMBER else None  # false for NaN


def is_number(value: Any) -> bool:
    return number(value) is not None


def clean(text: str) -> str:
    """Printable text of a bounded length."""
    return printable(text[:LONGEST])


def show(value: Any) -> str:
    """A value as one would type it; a number in at most six significant digits."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{','.join(map(show, value))}]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def flatten(tree: Any) -> dict[str, Value]:
    """Dotted keys to plain values. Raises ValueError for what is too large or too deep to be a configuration: YAML's
    aliases can make a small file a huge tree."""
    if not isinstance(tree, dict):
        raise ValueError("it is not the configuration of a run")
    flat: dict[str, Value] = {}
    for key, value in _leaves(tree, "", 0):
        flat[key] = value
        if len(flat) > MOST_KEYS:
            raise ValueError("it has more keys than the configuration of a run")
    return flat


def _leaves(tree: Mapping, path: str, depth: int) -> Iterator[tuple[str, Value]]:
    if depth > DEEPEST:
        raise ValueError("it is nested more deeply than the configuration of a run")
    for name, value in tree.items():
        key = clean(f"{path}{name}")
        if isinstance(value, dict):
            yield from _leaves(value, f"{key}.", depth + 1)
        elif isinstance(value, list):
            short = len(value) <= MOST_ITEMS and not any(isinstance(v, dict | list) for v in value)
            yield key, tuple(map(_plain, value)) if short else Odd("(list)")
        else:
            yield key, _plain(value)


def _plain(value: Any) -> Scalar:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if not is_number(value):
            return Odd("(out of range)" if value == value else "(NaN)")
        return value if abs(value) < 2**63 else float(value)  # beyond, arrays hold no whole numbers
    if isinstance(value, str):
        return value if value == clean(value) else Odd(clean(value))
    return Odd(f"({type(value).__name__})")
