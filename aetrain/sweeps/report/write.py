"""Writing a report: after every run of a sweep, and at any time over any set of runs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aetrain.console import printable
from aetrain.errors import UserError
from aetrain.files import parsed, write_atomically, write_json
from aetrain.latest import named
from aetrain.sweeps.report import disk
from aetrain.sweeps.report.analysis import Sweep, analyse
from aetrain.sweeps.report.data import as_csv, as_data
from aetrain.sweeps.report.page import Section, page
from aetrain.sweeps.report.read import check_folder, find
from aetrain.sweeps.report.suggest import suggest

log = logging.getLogger(__name__)

MOST_DRAWN = 8  # keys with plots of their own; the tables have all


def command(overrides: Sequence[str], multirun: bool = False) -> None:
    """`aetrain task=report run=<folder>`: rebuild and print what was written. Raises a UserError."""
    given = [o for o in overrides if o.startswith(("run=", "sweep="))]
    rest = [o for o in overrides if o != "task=report" and o not in given]
    folders = [o.partition("=")[2] for o in given]
    if multirun:
        raise UserError("task=report: reads runs and starts none; leave out --multirun")
    if rest:
        raise UserError(f"{rest[0]}: task=report takes run=<folder> and nothing else")
    if not folders or not folders[-1]:
        raise UserError("task=report: of which runs? Give run=outputs/sweeps/<time> or another folder of runs")
    for path in make(named("run", folders[-1], sweeps=True)):
        print(printable(str(path)))


def make(folder: Path) -> list[Path]:
    """Write the report of a sweep, or of the runs in any folder; what was written. Raises a UserError."""
    try:
        check_folder(folder)
        rebuild(folder)
    except OSError as error:
        raise UserError(f"{error.filename or folder}: the report cannot be written ({error.strerror})") from error
    return [folder / name for name in disk.WRITTEN]


def refresh(sweep: Path) -> None:
    """`rebuild`, where a run has news. A report that cannot be written is no reason for a run to fail."""
    try:
        rebuild(sweep, only_news=True)
    except OSError as error:
        log.warning("warning: %s: the report cannot be written (%s)", error.filename or sweep, error.strerror)
    except UserError as error:
        log.warning("warning: %s", error)


def rebuild(folder: Path, only_news: bool = False) -> None:
    """Write the report of the runs as they are now; with only_news, unless it is there already. Processes take turns.
    Raises OSError, and a UserError where something else is in a file's place."""
    with disk.turn(folder):
        disk.check_targets(folder)
        disk.remove_half_written(folder)
        whole = analyse(*find(folder))
        name = folder.resolve().name
        suggestions = [s for axis in whole.axes if (s := suggest(whole, axis, folder))]
        data = as_data(name, whole, suggestions)
        if only_news and data == _written(folder / "report.json"):
            return
        sections = draw(whole)
        plots = {f"{plot.name}.png": plot.png for _, plots, _ in sections for plot in plots}
        (folder / "report").mkdir(exist_ok=True)
        disk.check_targets(folder, plots)
        for file, png in plots.items():
            write_atomically(folder / "report" / file, png)
        write_atomically(folder / "report.html", page(name, whole, sections, suggestions).encode("utf-8", "replace"))
        write_atomically(folder / "report.csv", as_csv(whole).encode("utf-8", "replace"))
        write_json(folder / "report.json", data)  # last: where it is, all of the report is


def _written(path: Path) -> Any:
    """The content of an earlier report.json; None where none can be read."""
    try:
        return parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def draw(sweep: Sweep) -> list[Section]:
    """Each swept key with its plots and galleries; nothing as long as no run is done."""
    if not sweep.axes or not any(p.stats for p in sweep.points):
        return []
    # Here, because matplotlib takes a second to import.
    from aetrain.sweeps.report.pictures import galleries
    from aetrain.sweeps.report.plots import key_plots

    return [(axis, key_plots(sweep, axis), galleries(sweep, axis)) for axis in sweep.axes[:MOST_DRAWN]]
