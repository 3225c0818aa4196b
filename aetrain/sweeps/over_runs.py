"""One task on every run of a sweep, and one table over them. Imports no torch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aetrain.console import columns, number
from aetrain.errors import RunFailed, UserError
from aetrain.sweeps.report.axes import find_axes
from aetrain.sweeps.report.read import Member, find
from aetrain.sweeps.report.values import Missing, show
from aetrain.tasks.asked import Asked, Outcome
from aetrain.tasks.output import Output
from aetrain.version import __version__

log = logging.getLogger(__name__)


def do_each(folder: Path, task: str, out: Path | None, asked: Callable[[Path, Path | None], Asked]) -> Outcome:
    """The task on every run in a folder that is done; <task>.json and <task>.csv of all of them, in a folder beside
    them. asked: a run's folder and where its own files go -> what is asked of it. Raises a UserError where there is
    nothing to do it on, and RunFailed where some were refused."""
    from aetrain.tasks.work import do_task  # here, because it imports torch

    found = find(folder).members
    runs = [member for member in found if member.status == "done"]
    if not runs:
        raise UserError(f"run={folder}: none of its {len(found)} runs is done")
    output = Output(folder, task, out)
    done: list[tuple[Member, Outcome]] = []
    refused: dict[str, str] = {}
    for i, member in enumerate(runs, 1):
        log.info("%d of %d: %s", i, len(runs), member.name)
        try:
            own = asked(member.folder, out and output.folder / Path(member.name).name)
            done.append((member, do_task(own, show=False)))
        except (UserError, RunFailed) as error:
            log.info("%s", error)
            refused[member.name] = str(error)
    if not done:
        raise UserError(f"run={folder}: {next(iter(refused.values()))}")
    settings = settings_of([member for member, _ in done])
    _write(output, task, done, settings, refused)
    log.info("%s\n%s", _table(done, settings), output.folder)
    if refused:
        raise RunFailed(f"{len(refused)} of {len(runs)} runs could not be done, the others are in {output.folder}")
    means = {f"{member.name}/{name}": value for member, o in done for name, value in o.metrics.items()}
    return Outcome(output.folder, means)


def settings_of(members: Sequence[Member]) -> dict[str, list[Any]]:
    """What differs between the runs: dotted key, or group -> each run's value."""
    keys = [axis.key for axis in find_axes(members)]
    if len({show(member.seed) for member in members if not isinstance(member.seed, Missing)}) > 1:
        keys.append("seed")
    return {key: [member.value(key) for member in members] for key in keys}


def _write(output: Output, task: str, done: Sequence[tuple[Member, Outcome]], settings: Mapping[str, Sequence[Any]],
           refused: Mapping[str, str]) -> None:  # fmt: skip
    names = list(dict.fromkeys(name for _, outcome in done for name in outcome.metrics))
    with output.rows(f"{task}.csv", ["run", *settings, *names]) as rows:
        for i, (member, outcome) in enumerate(done):
            values = [_plain(column[i]) for column in settings.values()]
            rows.add([member.name, *values, *(outcome.metrics.get(name) for name in names)])
    entries = [
        {
            "run": member.name,
            "folder": str(outcome.folder),
            "settings": {key: _plain(column[i]) for key, column in settings.items()},
            "metrics": dict(outcome.metrics),
        }
        for i, (member, outcome) in enumerate(done)
    ]
    output.json(f"{task}.json", {"task": task, "runs": entries, "refused": dict(refused), "version": __version__})


def _table(done: Sequence[tuple[Member, Outcome]], settings: Mapping[str, Sequence[Any]]) -> str:
    main = list(dict.fromkeys(name for _, outcome in done for name in outcome.main))
    header = [*(key.rpartition(".")[2] for key in settings), *main]
    rows = []
    for i, (_, outcome) in enumerate(done):
        values = [outcome.metrics.get(name) for name in main]
        cells = ["–" if isinstance(column[i], Missing) else show(column[i]) for column in settings.values()]
        rows.append([*cells, *("–" if value is None else number(value) for value in values)])
    return columns(header, rows)


def _plain(value: Any) -> Any:
    if isinstance(value, Missing):
        return None
    return list(value) if isinstance(value, tuple) else value
