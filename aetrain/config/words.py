"""The words of an error line. What an error of Hydra's means: see explain.py."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any


def closest(word: str, options: Iterable[Any]) -> str | None:
    """The option of which this word is a misspelling, None where it may well be another word. Of short words every
    other one is a name of its own (cvae, aae), and a slip seldom hits the first letter."""
    word = word.lower()
    names = {str(option).lower(): str(option) for option in options}
    if word in names:
        return names[word]
    squashed = {re.sub(r"[-_\s]", "", name): option for name, option in names.items()}
    if (bare := re.sub(r"[-_\s]", "", word)) in squashed:
        return squashed[bare]
    allowed = 0 if len(word) < 4 else 1 if len(word) < 8 else 2
    within = [(d, name) for name in names if name[:1] == word[:1] and (d := _distance(word, name)) <= allowed]
    return names[min(within)[1]] if within else None


def _distance(a: str, b: str) -> int:
    """Letters to insert, drop, replace or swap with their neighbour (Damerau-Levenshtein, adjacent)."""
    before, row = [], list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, last, row = row, before, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[-1] = min(row[-1], last[j - 2] + 1)
    return row[-1]


def suggest(word: str, options: Iterable[Any], key: str = "") -> str:
    """The end of an error line: the closest option, or all of them. key: what the option is a value of."""
    names = [str(option) for option in options]
    if near := closest(word, names):
        return f"did you mean {key}={near}?" if key else f"did you mean '{near}'?"
    return f"choose from: {', '.join(names)}" if names else "there is nothing to choose from"


def show(value: Any) -> str:
    """A value as one would type it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"[{','.join(map(show, value))}]" if isinstance(value, list) else str(value)


def is_shown(text: str) -> bool:
    """Whether all of a text shows as it is: letters and signs, spaces of any width, what joins letters or emoji. Not
    control characters, ends of lines, what turns the direction of writing, bytes that are not UTF-8."""
    return all(c.isprintable() or unicodedata.category(c) == "Zs" or c in "\u200c\u200d" for c in text)
