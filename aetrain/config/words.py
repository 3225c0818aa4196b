"""The words of an error line. What an error of Hydra's means: see explain.py."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


def suggest(word: str, options: Iterable[Any]) -> str:
    """The end of an error line: the closest option, or all of them."""
    names = [str(option) for option in options]
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"choose from: {', '.join(names)}" if names else "there is nothing to choose from"


def show(value: Any) -> str:
    """A value as one would type it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"[{','.join(map(show, value))}]" if isinstance(value, list) else str(value)
