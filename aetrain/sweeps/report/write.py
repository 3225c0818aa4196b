"""A sweep's report: report.html, report.json, report.csv and report/*.png, from the files of its members.

Imports no torch: it is rebuilt after every member, and at any time with `aetrain task=report sweep=<folder>`.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aetrain.errors import UserError
from aetrain.files import write_atomically, write_json
from aetrain.sweeps.report.analysis import Suggestion, Sweep, analyse, is_number, pareto, show, suggest
from aetrain.sweeps.report.page import Section, page
from aetrain.sweeps.report.read import Member, check_sweep, find

log = logging.getLogger(__name__)


def command(overrides: Sequence[str], multirun: bool = False) -> None:
    """`aetrain task=report sweep=<folder>`: rebuild and print what was written. Raises a UserError."""
    rest = [o for o in overrides if o != "task=report" and not o.startswith("sweep=")]
    folders = [o.partition("=")[2].strip("'\"") for o in overrides if o.startswith("sweep=")]
    if multirun:
        raise UserError("task=report: reads one sweep and starts no run; leave out --multirun")
    if rest:
        raise UserError(f"{rest[0]}: task=report takes sweep=<folder> and nothing else")
    if not folders or not folders[-1]:
        raise UserError("task=report: which sweep? Give sweep=outputs/sweeps/<time>")
    sweep = Path(folders[-1])
    check_sweep(sweep)
    try:
        rebuild(sweep)
    except OSError as error:
        raise UserError(f"{error.filename or sweep}: the report cannot be written ({error.strerror})") from error
    print(*(sweep / name for name in ("report.html", "report.csv", "report.json")), sep="\n")


def refresh(sweep: Path) -> None:
    """`rebuild`, where a member has news. A report that cannot be written is no reason for a run to fail."""
    try:
        rebuild(sweep, only_news=True)
    except OSError as error:
        log.warning("warning: %s: the report cannot be written (%s)", error.filename or sweep, error.strerror)


def rebuild(sweep: Path, only_news: bool = False) -> None:
    """Write the report of the members as they are now; with only_news, unless it is there already. Processes take
    turns. Raises OSError."""
    with _turn(sweep):
        for half_written in [*sweep.glob(".report.*.tmp"), *sweep.glob("report/.*.tmp")]:
            half_written.unlink()
        whole = analyse(find(sweep))
        name = sweep.resolve().name
        suggestions = [s for axis in whole.axes if (s := suggest(whole, axis, sweep))]
        data = as_data(name, whole, suggestions)
        if only_news and data == _written(sweep / "report.json"):
            return
        sections = draw(whole)
        (sweep / "report").mkdir(exist_ok=True)
        for plot in (plot for _, plots, _ in sections for plot in plots):
            write_atomically(sweep / "report" / f"{plot.name}.png", plot.png)
        content = page(name, whole, sections, suggestions)
        write_atomically(sweep / "report.html", content.encode("utf-8", "replace"))
        write_atomically(sweep / "report.csv", as_csv(whole).encode("utf-8", "replace"))
        write_json(sweep / "report.json", data)  # last: where it is, all of the report is


def _written(path: Path) -> Any:
    """The content of an earlier report.json; None where none can be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def draw(sweep: Sweep) -> list[Section]:
    """Each swept key with its plots and galleries; nothing as long as no member is done."""
    if not sweep.axes or not any(p.stats for p in sweep.points):
        return []
    # Here, because matplotlib takes a second to import.
    from aetrain.sweeps.report.pictures import galleries
    from aetrain.sweeps.report.plots import key_plots

    return [(axis, key_plots(sweep, axis), galleries(sweep, axis)) for axis in sweep.axes]


@contextmanager
def _turn(sweep: Path) -> Iterator[None]:
    """Within, no other process writes this report."""
    lock = os.open(sweep / ".report.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def as_data(name: str, sweep: Sweep, suggestions: Sequence[Suggestion]) -> dict[str, Any]:
    """The report's content as strict JSON can hold it: what is not finite is null."""
    keys = [axis.key for axis in sweep.axes]
    rate, distortion = f"{sweep.split}/kl", f"{sweep.split}/recon"
    both = [p for p in sweep.points if rate in p.stats and distortion in p.stats]
    front = pareto([(p.stats[rate].mean, p.stats[distortion].mean) for p in both]) if "model.beta" in keys else []
    return {
        "sweep": name,
        "split": sweep.split,
        "swept": {axis.key: list(axis.values) for axis in sweep.axes},
        "members": [_member(m, keys) for m in sweep.members],
        "aggregates": [
            {
                "values": dict(zip(keys, map(_strict, p.values), strict=True)),
                "seeds": [_strict(m.seed) for m in p.members if m.status == "done"],
                "metrics": {tag: {"mean": s.mean, "std": s.std, "n": s.n} for tag, s in p.stats.items()},
            }
            for p in sweep.points
        ],
        "pareto": [dict(zip(keys, map(_strict, both[i].values), strict=True)) for i in front],
        "suggestions": [asdict(s) for s in suggestions],
    }


def _member(m: Member, keys: Sequence[str]) -> dict[str, Any]:
    return {
        "member": m.folder.name,
        "status": m.status,
        "reason": m.reason,
        "step": m.step,
        "seconds": m.seconds,
        "seed": _strict(m.seed),
        "values": {key: _strict(m.value(key)) for key in keys},
        "metrics": dict(m.metrics),
    }


def _strict(value: Any) -> Any:
    return show(value) if isinstance(value, float) and not is_number(value) else value


def as_csv(sweep: Sweep) -> str:
    """One row per member: every metric that any of them has."""
    keys = [axis.key for axis in sweep.axes]
    tags = list(dict.fromkeys([*sweep.metrics, *sorted(tag for m in sweep.members for tag in m.metrics)]))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(map(_harmless, ["member", "status", "reason", "seed", *keys, *tags, "step", "seconds"]))
    for m in sweep.members:
        values = [m.folder.name, m.status, m.reason, m.seed, *(m.value(key) for key in keys)]
        values += [*(m.metrics.get(tag) for tag in tags), m.step, m.seconds]
        writer.writerow(map(_harmless, values))
    return buffer.getvalue()


def _harmless(value: Any) -> Any:
    """Text that a spreadsheet would compute is marked as text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
