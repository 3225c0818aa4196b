"""One task on several runs at once, with one result. Imports no torch."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from aetrain.errors import UserError
from aetrain.sweeps.over_runs import settings_of
from aetrain.sweeps.report.axes import setting_label
from aetrain.sweeps.report.read import Member, find, read
from aetrain.sweeps.report.values import MISSING, clean, show
from aetrain.tasks.asked import Asked, Outcome
from aetrain.tasks.output import Output

log = logging.getLogger(__name__)

MOST_NAMED = 3  # settings in a run's name


def do_together(path: Path, second: Path | None, task: str, out: Path | None, asked: Callable[[Path], Asked],
                show_it: bool) -> Outcome:  # fmt: skip
    """The task on a run and a second one beside it, or on every run in a folder that is done, of which those that are
    refused are named and left out. asked: a run's folder -> what is asked of it. Raises a UserError or RunFailed."""
    from aetrain.tasks.work import do_task  # here, because it imports torch

    if second is not None:
        return do_task(_pair(path, second, asked), show_it)
    found = find(path).members
    runs = [member for member in found if member.status == "done"]
    if not runs:
        raise UserError(f"run={path}: none of its {len(found)} runs is done")
    Output(path, task, out)  # refuses, once, a folder that holds something
    ready: list[Asked] = []
    left_out: list[str] = []
    for member, name in zip(runs, names(runs), strict=True):
        try:
            ready.append(dataclasses.replace(asked(member.folder), name=name, within=path))
        except UserError as error:
            log.info("left out: %s: %s", name, error)
            left_out.append(name)
            refused = error
    while ready:
        first, *rest = ready
        try:
            return do_task(dataclasses.replace(first, beside=tuple(rest), left_out=tuple(left_out)), show_it)
        except UserError as error:
            log.info("left out: %s: %s", first.name, error)
            left_out.append(first.name)
            ready, refused = rest, error
    raise UserError(f"run={path}: {refused}")


def _pair(path: Path, second: Path, asked: Callable[[Path], Asked]) -> Asked:
    both = []
    for key, one in (("run", path), ("run2", second)):
        try:
            both.append(asked(one))
        except UserError as error:
            raise UserError(f"{key}{str(error).removeprefix('run')}" if str(error).startswith("run=") else
                            f"{key}={one}: {error}") from error  # fmt: skip
    folders = [one.run.folder.resolve() for one in both]
    if folders[0] == folders[1]:  # two checkpoints of one run
        called = [clean(one.run.path.name) for one in both]
    else:
        called = names([read(folder.parent, folder.name) for folder in folders])
    first, other = (dataclasses.replace(one, name=name) for one, name in zip(both, called, strict=True))
    return dataclasses.replace(first, beside=(other,))


def names(members: Sequence[Member]) -> list[str]:
    """What tells runs apart: the settings in which they differ, where these say it, else their folders."""
    settings = settings_of(members)
    found = []
    for i in range(len(members)):
        values = [(key, column[i]) for key, column in settings.items() if column[i] is not MISSING]
        labels = [f"seed {show(value)}" if key == "seed" else setting_label(key, value) for key, value in values]
        found.append(clean(", ".join(labels[:MOST_NAMED])))
    if len(set(found)) == len(found) and all(found):
        return found
    return [clean(f"{name} ({member.name})" if name else member.name) for name, member in
            zip(found, members, strict=True)]  # fmt: skip
