"""A line for every epoch, in columns under a header."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping

from aetrain.console import number, without_repeats

GAP = 2  # blanks between columns
NARROWEST = 10  # letters of a column: a number of five digits with sign and exponent


class EpochTable:
    """The lines of one run. Which columns there are is decided by the first line: what the terminal has room for, in
    order of interest; in a pipe all."""

    def __init__(self, epochs: int, width: int | None = None):
        """epochs: of the whole run. width: of the terminal; None: as it is."""
        self._epochs = epochs
        self._width = width or (shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000)
        self._names: list[str] = []

    def line(self, epoch: int, values: Mapping[str, float], note: str = "") -> str:
        """The line of an epoch, the first one below a header. values: by tag, in order of interest."""
        first = f"epoch {epoch}/{self._epochs}".ljust(len(f"epoch {self._epochs}/{self._epochs}"))
        header = ""
        if not self._names:
            self._names = self._chosen(values, self._width - len(first))
            header = " " * len(first) + "".join(f"{name:>{_wide(name)}}" for name in self._names) + "\n"
        cells = (f"{number(values[name]):>{_wide(name)}}" if name in values else " " * _wide(name)
                 for name in self._names)  # fmt: skip
        return f"{header}{first}{''.join(cells)}{note}"

    def _chosen(self, values: Mapping[str, float], room: int) -> list[str]:
        """Those that fit side by side."""
        names, used = [], 0
        for name in without_repeats(values):
            used += _wide(name)
            if used > room:
                break
            names.append(name)
        return names


def _wide(name: str) -> int:
    return GAP + max(NARROWEST, len(name))
