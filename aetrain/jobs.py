"""Jobs of Hydra's: the typed configuration → its task, in its folder. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from aetrain import api
from aetrain.compose import check, given_keys
from aetrain.config.rules import check_metric
from aetrain.config.schema import Config
from aetrain.config.tree import as_yaml, plain
from aetrain.errors import Interrupted, UserError
from aetrain.files import write_atomically
from aetrain.folder import begins_in, begun, check_links, check_new, continued, discard, make
from aetrain.sweeps import members
from aetrain.sweeps.members import Member

# Folder names of a search's trials, whose sweeper names none: see conf/config.yaml. Here, because every process that
# runs one imports this module.
OmegaConf.register_new_resolver(
    "aetrain.member", lambda words, swept=(): members.name(0, list(words), swept).partition("_")[2], replace=True
)


def run_single(tree: Config, config: DictConfig, context: HydraContext, overrides: Sequence[str]) -> None:
    """One run, as Hydra runs a job. tree: config, typed and checked. Raises what ended it."""
    folder = Path(str(config.hydra.run.dir))
    check_new(folder)
    was_there = folder.exists()
    make(folder)
    kept = without_hydras(overrides)

    def job(_: DictConfig) -> float | None:
        write_hydra(folder, tree, overrides)
        return api.run(tree, folder, kept)

    context.callbacks.on_run_start(config=config, config_name="config")
    returned = run_job(task_function=job, config=config, job_dir_key="hydra.run.dir", job_subdir_key=None,
                       hydra_context=context)  # fmt: skip
    context.callbacks.on_run_end(config=config, config_name="config", job_return=returned)
    try:
        raise_failure(returned)
    except UserError:  # that shows in the data only
        if not was_there:
            discard(folder)
        raise


def raise_failure(returned: JobReturn) -> None:
    if returned.status == JobStatus.FAILED:
        raise returned._return_value  # its property would print Hydra's words first


@dataclass
class Job:
    """What Hydra's launchers call for every member of a sweep, under any of them: sent to other processes and machines,
    it takes the members along, so that none is composed from what is stored.

    members: by folder, filled in before the launch. A search's trials, which no one knows before, are taken in one by
    one. swept: the keys of the sweep."""

    swept: tuple[str, ...] = ()
    members: dict[str, Member] = field(default_factory=dict)
    composed: dict[str, DictConfig] = field(default_factory=dict)  # by folder: Hydra's view of those of this command
    started: bool = False

    def __call__(self, config: DictConfig) -> float | None:
        self.started = True
        current = HydraConfig.get()
        sweep = Path(str(current.sweep.dir))
        member = self.members.get(str(current.sweep.subdir)) or self.take_in(config, current)
        with reported(sweep):
            try:
                return run_member(member, sweep)
            except Interrupted as error:
                line = str(error).partition("; continue with")[0]
                raise Interrupted(f"{line}; continue with {continued(sweep)}", error.exit_code) from error

    def only(self, member: Member) -> Job:
        """For a process that runs one."""
        return replace(self, members={member.folder: member}, composed={})

    def take_in(self, config: DictConfig, hydra: DictConfig) -> Member:
        """A search's trial, checked, as a member; written down before it starts. config: without Hydra's part."""
        sweep, overrides = Path(str(hydra.sweep.dir)), without_hydras(hydra.overrides.task)
        tree = check(config, overrides)
        check_metric(tree, [*self.swept, *(hydra.sweeper.get("params") or {})])
        member = Member(str(hydra.sweep.subdir), tree, tuple(overrides))
        if known := members.read(sweep).find(tree):
            member = known.logged_to(tree.logger)
        check_folder(member, sweep)
        with begins_in(sweep):
            members.add(sweep, [member], {})
        self.started = True
        return member


def run_member(member: Member, sweep: Path) -> float | None:
    """A member's task in its folder, from its last checkpoint where it has one."""
    folder = prepared(member, sweep)
    return api.run(member.config, folder, member.overrides, resumed=begun(folder))


def prepared(member: Member, sweep: Path) -> Path:
    """The member's folder, checked, with what Hydra would have written there."""
    check_folder(member, sweep)
    folder = sweep / member.folder
    if not begun(folder):
        write_hydra(folder, member.config, member.overrides)
    return folder


def check_folder(member: Member, sweep: Path) -> None:
    """Raise a UserError unless the member may write there."""
    folder = sweep / member.folder
    if folder.is_symlink():
        raise UserError(f"{folder}: refused, it is a link; nothing was written")
    if begun(folder):
        check_links(folder)
    else:
        check_new(folder)


def without_hydras(overrides: Sequence[str]) -> list[str]:
    """Those of aetrain's own configuration."""
    return [word for word in overrides if not re.match(r"[+~]*hydra[./]", word)]


def write_hydra(folder: Path, tree: Config, overrides: Sequence[str]) -> None:
    """.hydra/ in Hydra's form, into a checked folder: Hydra itself would write before any check of ours. hydra.yaml is
    there while a job of Hydra's runs."""
    below = folder / ".hydra"
    content = {"config.yaml": plain(tree), "overrides.yaml": list(overrides)}
    if HydraConfig.initialized():
        content["hydra.yaml"] = {"hydra": OmegaConf.to_container(HydraConfig.get(), resolve=False, enum_to_str=True)}
    with begins_in(folder):
        below.mkdir(parents=True, exist_ok=True)
        for name, node in content.items():
            write_atomically(below / name, as_yaml(node))


@contextmanager
def reported(sweep: Path) -> Iterator[None]:
    """The sweep's report is rebuilt at the end of the block, however it ends."""
    try:
        yield
    finally:
        from aetrain.sweeps import report

        report.refresh(sweep)


def swept_keys(job_overrides: Sequence[Sequence[str]]) -> list[str]:
    """The keys in which the members of a sweep differ as typed."""
    words = [set(overrides) for overrides in job_overrides]
    return given_keys(sorted(set.union(*words) - set.intersection(*words))) if words else []


def launch_of(config: DictConfig) -> Mapping[str, object]:
    """How a sweep is launched, for sweep.json."""
    launcher, name = config.hydra.launcher, config.hydra.runtime.choices.get("hydra/launcher")
    keys = members.LAUNCH.get(name, ())
    return {"launcher": name} | {key: launcher[key] for key in keys if launcher.get(key) is not None}
