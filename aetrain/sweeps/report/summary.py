"""What a sweep came to, as a table of the terminal."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from aetrain.console import columns, number
from aetrain.sweeps.report.analysis import Point, Stat, Sweep, analyse, once_per_seed
from aetrain.sweeps.report.read import find
from aetrain.sweeps.report.values import show

LONGEST = 24  # letters of a value


def table(folder: Path) -> str:
    """A row for each setting of the swept keys: how its runs ended unless all are done, the number of seeds, and the
    main metrics as mean ± standard deviation; as many columns as the terminal has room for. folder: the sweep's."""
    sweep = analyse(*find(folder))
    several = any(len(point.members) > 1 for point in sweep.points)
    told = any(member.status != "done" for point in sweep.points for member in point.members)
    head = [axis.key for axis in sweep.axes] + ["status"] * told + ["seeds"] * several
    rows = [_settings(point, told, several) for point in sweep.points]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    for tag in _main_first(sweep):
        column = [_stat(point.stats.get(tag)) for point in sweep.points]
        with_it = [[*row, cell] for row, cell in zip(rows, column, strict=True)]
        if sum(_widths([[*head, tag], *with_it])) + 2 * len(head) > width:
            break
        head, rows = [*head, tag], with_it
    return columns(head, rows)


def _main_first(sweep: Sweep) -> list[str]:
    """What runs are compared by and its two parts, then the other metrics in order of interest: the loss, which differs
    with its weights, is what a narrow terminal can do without."""
    main = sweep.objective()
    parts = [tag for name in ("recon", "kl") if (tag := f"{sweep.split}/{name}") in sweep.metrics]
    return [tag for tag in dict.fromkeys([main, *parts, *sweep.metrics]) if tag]


def _settings(point: Point, told: bool, several: bool) -> list[str]:
    states = Counter(member.status for member in point.members)
    status = "done" if set(states) == {"done"} else ", ".join(f"{n} {state}" for state, n in states.items())
    return [*(show(value)[:LONGEST] for value in point.values), *[status] * told,
            *[str(len(once_per_seed(point.members)))] * several]  # fmt: skip


def _stat(stat: Stat | None) -> str:
    if stat is None:
        return "–"
    return number(stat.mean) + ("" if stat.std is None else f" ± {stat.std:.2g}")


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]
