"""A sweep, from its words or its sweep.json to its end. Imports no torch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from aetrain.compose import check
from aetrain.config.rules import check_metric
from aetrain.config.tree import as_yaml, identity
from aetrain.errors import AetrainError, RunFailed, UserError
from aetrain.files import write_atomically
from aetrain.folder import begins_in
from aetrain.jobs import Job, check_folder, launch_of, reported, swept_keys, without_hydras
from aetrain.sweeps import members
from aetrain.sweeps.launch.composition import Composition
from aetrain.sweeps.launch.ways import label, subdir_override
from aetrain.sweeps.members import Member
from aetrain.sweeps.report import summary

log = logging.getLogger(__name__)

OWN_SUBDIR = "${hydra.job.num}_${aetrain.member:${hydra.overrides.task}}"  # conf/config.yaml's: a folder of our naming


def launch_all(config: DictConfig, context: HydraContext, launcher: Any, job: Job, every: Sequence[Sequence[str]],
               max_batch_size: int | None) -> list[list[JobReturn]]:  # fmt: skip
    """Run the members of the job, or else those of these overrides; the first starts when all have been checked and
    written down. Raises RunFailed with the reasons of all that failed."""
    sweep = Path(str(config.hydra.sweep.dir))
    given = {member.folder: [] for member in job.members.values()}  # what a launcher composes: see Job
    if not job.members:
        given = _planned(config, context, job, every, sweep)
    chosen = list(job.members.values())
    for member in chosen:
        check_folder(member, sweep)
    with begins_in(sweep):
        members.add(sweep, chosen, launch_of(config))
        hydras = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
        write_atomically(sweep / "multirun.yaml", as_yaml(hydras))  # never read by us
    job.started = True
    returns, failed, size = [], [], max_batch_size if max_batch_size and max_batch_size > 0 else len(chosen)
    with reported(sweep):
        for start in range(0, len(chosen), size):
            batch = chosen[start : start + size]
            overrides = [[*given[member.folder], subdir_override(member.folder)] for member in batch]
            returns.append(list(launcher.launch(overrides, initial_job_idx=start)))
            for member, returned in zip(batch, returns[-1], strict=True):
                if returned.status == JobStatus.FAILED:
                    error = returned._return_value  # its property would print Hydra's words first
                    if not isinstance(error, AetrainError):
                        raise error
                    failed.append(f"{label(member.number, member.overrides, job.swept)}: {error}")
                    returned.status, returned.return_value = JobStatus.COMPLETED, None
    log.info("%s", summary.table(sweep))
    if (sweep / "report.html").is_file():
        log.info("%s", sweep / "report.html")
    if failed:
        raise RunFailed(f"{len(failed)} of {len(chosen)} runs failed: {'; '.join(failed)}")
    return returns


def _planned(config: DictConfig, context: HydraContext, job: Job, every: Sequence[Sequence[str]],
             sweep: Path) -> dict[str, list[str]]:  # fmt: skip
    """Fill in the job's members; returns what a launcher of Hydra's composes each from, by folder. A member that was
    there before keeps its folder, whatever its number would be now, and new ones are numbered on."""
    job.swept = tuple(swept_keys(every))
    known = members.read(sweep)
    number = 1 + max((member.number for member in known.members), default=-1)
    there = {identity(member.config): member for member in reversed(known.members)}
    given: dict[str, list[str]] = {}
    composition = Composition(config, context)
    for overrides in every:
        composed = composition.member(overrides)
        typed_words = without_hydras(overrides)
        tree = check(composed, typed_words)
        check_metric(tree, job.swept)
        member = there.get(same := identity(tree))
        if member is not None:
            if member.folder in job.members and member.config != tree:
                log.warning("warning: %s: another run of this sweep but for name, tags or places; it is made once",
                            " ".join(typed_words))  # fmt: skip
            member = member.logged_to(tree.logger)
        else:
            folder = _folder(composed, number, overrides, job.swept)
            if folder in job.members or folder in {m.folder for m in known.members}:
                raise UserError(f"hydra.sweep.subdir={folder}: two runs would share this folder; leave it out")
            member, number = Member(folder, tree, tuple(typed_words)), number + 1
            there[same] = member
        job.members[member.folder], job.composed[member.folder] = member, composed
        given[member.folder] = overrides
    return given


def _folder(composed: DictConfig, number: int, overrides: Sequence[str], swept: Sequence[str]) -> str:
    """The new member's folder below the sweep's: of our naming, unless the user has given another."""
    if OmegaConf.to_container(composed.hydra.sweep, resolve=False).get("subdir") == OWN_SUBDIR:
        return members.name(number, overrides, swept)
    with open_dict(composed):
        composed.hydra.job.id = composed.hydra.job.num = number
        composed.hydra.overrides.task = list(overrides)
    folder = str(composed.hydra.sweep.subdir)
    try:
        members.check_name(folder)
    except ValueError as error:
        raise UserError(f"hydra.sweep.subdir={folder}: {error}") from error
    return folder
