"""The `aetrain` command: argv → composed, checked configuration → task. Imports no torch.

Hydra makes a run's folder before it calls the task, so a single run is composed and checked here first: a mistake
leaves nothing behind. The members of a sweep are checked by hydra_plugins/aetrain_sweeper.py.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobStatus, run_job
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from aetrain import __version__, resume
from aetrain.arguments import parse
from aetrain.compose import check, check_typed, composed, given_keys, register, without_hydra
from aetrain.config.command import check_words
from aetrain.config.conf import CONF
from aetrain.config.explain import explain
from aetrain.config.own import undecodable
from aetrain.config.rules import check_metric
from aetrain.config.tables import TASKS
from aetrain.config.tree import plain, typed
from aetrain.errors import AetrainError, Interrupted, UserError
from aetrain.folder import check_links, check_new
from aetrain.logs import logged_to
from aetrain.surroundings import open_closed_streams, reader_may_leave
from aetrain.sweeps import report

log = logging.getLogger("aetrain")

LAST = Path("checkpoints", "last.pt")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code: 0 done, 1 the run failed, 2 the user's mistake, 130 and 143
    after SIGINT and SIGTERM. A bug raises."""
    argv = list(sys.argv[1:] if argv is None else argv)
    open_closed_streams()
    try:
        _run(argv)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        return _report(explain(error, argv), 2)
    except AetrainError as error:
        return _report(str(error), error.exit_code)
    except SystemExit as exit:  # Hydra's way to end after --help and the like
        return int(exit.code or 0)
    except Interrupted as interrupt:
        return _report(str(interrupt), interrupt.exit_code)
    except KeyboardInterrupt:
        return _report("stopped at once", 130)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        name = max(Path(str(error.filename)).parts, key=len)
        return _report(f"{name[:20]}…: a name of {len(name)} characters, which the file system does not take", 2)
    finally:
        with reader_may_leave():
            pass
    return 0


def _report(message: str, code: int) -> int:
    message = "".join(char if char.isprintable() else repr(char)[1:-1] for char in message)
    print(f"aetrain: error: {message}" if code in (1, 2) else f"aetrain: {message}", file=sys.stderr)
    return code


def _run(argv: list[str]) -> None:
    if "--version" in argv:
        print(f"aetrain {__version__}")
        return
    if argv and argv[0] in TASKS:  # a verb
        argv = [f"task={argv[0]}", *argv[1:]]
    args = parse(argv)
    argv = [*args.flags(), *args.overrides]
    check_words(args.overrides, args.multirun)
    if args.config_dir is not None and not os.path.isdir(args.config_dir):
        raise UserError(f"--config-dir {args.config_dir}: there is no such folder")
    register()
    if args.help:
        from aetrain.config.help import page

        words = [word for word in args.overrides if not word.startswith(("resume=", "run=", "sweep="))]
        config = without_hydra(composed(words, args.config_dir, args.config_name)[0])
        with reader_may_leave():
            print(page(typed(config, given_keys(words))))
        return
    if args.cfg and (resumed := resume.arguments(args.overrides)):
        _show(resumed)
        return
    shows_only = args.hydra_help or args.cfg or args.info or args.shell_completion
    if shows_only:
        with reader_may_leave():
            _hydra_main(argv, Job())
        return
    if "task=report" in args.overrides:
        report.command(args.overrides, args.multirun)
        return
    resumed = resume.arguments(args.overrides)
    if resumed and resumed.is_sweep:
        args.overrides = [*resumed.restored, *resumed.further]
        argv = [*args.flags(), *([] if args.multirun else ["--multirun"]), *args.overrides]
    if args.multirun and resumed and not resumed.is_sweep:
        raise UserError(f"resume={resumed.folder}: a single run; leave out --multirun")
    if args.multirun or (resumed and resumed.is_sweep):
        if "hydra/launcher=submitit_slurm" in args.overrides and not shutil.which("srun"):
            raise UserError(
                "hydra/launcher=submitit_slurm: srun was not found, so SLURM is not here; start it on the cluster, or "
                "try it with hydra/launcher=submitit_local"
            )
        _check_search(args)
        _hydra_main(argv, Job(swept=swept_keys(args.overrides), resumed=bool(resumed)))
        return
    if resumed:
        _resume_run(resumed)
        return
    _run_single(args, Job(given=args.overrides))


def _show(resumed: resume.Resumed) -> None:
    """For --cfg: the configuration with which the run would go on."""
    if resumed.is_sweep:
        raise UserError(
            f"resume={resumed.folder}: a sweep; show one of its members, as in resume={resumed.folder}/<member>"
        )
    check_typed(resumed.config)
    with reader_may_leave():
        print(OmegaConf.to_yaml(plain(resumed.config)))


def _resume_run(resumed: resume.Resumed) -> None:
    """Without Hydra: the configuration is what the folder holds, with the user's further values."""
    check_typed(resumed.config)
    check_links(resumed.folder)
    _ignore_sigusr1()
    with logged_to(resumed.folder), told():
        from aetrain.tasks import run_task

        run_task(resumed.config, resumed.folder, resumed.further, resumed=True)


def _run_single(args, job: Job) -> None:
    """As Hydra runs a single job, but composed once: Hydra's own entry would do so twice again, which takes longer than
    all the rest before torch is imported."""
    config, context = composed(args.overrides, args.config_dir, args.config_name)
    if config.hydra.mode == RunMode.MULTIRUN:
        raise UserError("hydra.mode=MULTIRUN: a sweep is asked for with --multirun")
    check(config, job.given)
    check_new(Path(str(config.hydra.run.dir)))
    config.hydra.mode = RunMode.RUN
    context.callbacks.on_run_start(config=config, config_name=args.config_name)
    with _folder_errors(job):
        returned = run_job(task_function=job, config=config, job_dir_key="hydra.run.dir", job_subdir_key=None,
                           hydra_context=context)  # fmt: skip
    context.callbacks.on_run_end(config=config, config_name=args.config_name, job_return=returned)
    if returned.status == JobStatus.FAILED:
        raise returned._return_value  # its property would print Hydra's words first


def _check_search(args) -> None:
    """For a sweeper other than ours, which starts trials without checking them: what can be said before the first."""
    foreign = [o for o in args.overrides if o.startswith("hydra/sweeper=") and not o.endswith(("=aetrain", "=basic"))]
    swept = swept_keys(args.overrides)
    if not foreign or not all("." in key for key in swept):  # groups decide which keys there are
        return
    fixed = [override for override in args.overrides if given_keys([override])[0] not in swept]
    tree = check(without_hydra(composed(fixed, args.config_dir, args.config_name)[0]), fixed)
    check_metric(tree, swept)
    if tree.data.val_size == 0:
        raise UserError(f"{foreign[0]}: chooses by the validation images, and data.val_size=0 leaves none")


def member_name(overrides: Sequence[str]) -> str:
    """A sweep member's overrides as a short folder name that every file system takes: the values, then the groups."""
    kept = sorted((o for o in overrides if not re.match(r"[+~]*(data\.root|hydra)\b", o)), key=_is_group)
    return re.sub(r"[^\w.=,+-]+", "_", ",".join(kept))[:120].rstrip("._") or "default"


# Here and not in `_run`: the processes in which other launchers run a sweep's members import this module, no more.
OmegaConf.register_new_resolver("aetrain.member", member_name, replace=True)


def swept_keys(overrides: Sequence[str]) -> list[str]:
    """The keys of those overrides that have more than one value: a list of them, an interval, a choice, …"""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [override.key_or_group for override in parsed if override.is_sweep_override()]


def _is_group(override: str) -> bool:
    return "." not in override.partition("=")[0]


@dataclass(frozen=True)
class Member:
    """A member of a sweep: what Hydra's job is to do."""

    config: Any  # the typed, checked tree
    sweep: Path
    folder: Path
    overrides: list[str]  # without those of Hydra's own part
    resumed: bool  # whether it goes on from its last checkpoint

    @classmethod
    def of(cls, config: DictConfig, swept: Sequence[str] = ()) -> Member:
        """Of Hydra's current job in a sweep; it is resumed wherever it has a checkpoint."""
        current = HydraConfig.get()
        overrides = [override for override in current.overrides.task if not override.startswith("hydra.")]
        tree, folder = check(config, overrides), Path(current.runtime.output_dir)
        check_metric(tree, [*swept, *(current.sweeper.get("params") or {})])
        return cls(tree, Path(current.sweep.dir), folder, overrides, (folder / LAST).is_file())


@dataclass
class Job:
    """What Hydra calls for every run of a command line."""

    given: Sequence[str] | None = None  # the user's overrides; None in a sweep, whose members have their own
    resumed: bool = False  # whether a sweep with all that it has goes on
    swept: Sequence[str] = ()  # keys of a sweep
    started: bool = False

    def __call__(self, config: DictConfig) -> float | None:
        self.started = True
        _ignore_sigusr1()
        with told():
            return self._run(config)

    def _run(self, config: DictConfig) -> float | None:
        from aetrain.tasks import run_task

        if self.given is not None:
            folder = Path(HydraConfig.get().runtime.output_dir)
            overrides = [override for override in self.given if not override.startswith("hydra.")]
            return run_task(check(config, overrides), folder, overrides)
        member = Member.of(config, self.swept)
        with reported(member.sweep):
            try:
                return run_task(member.config, member.folder, member.overrides, member.resumed)
            except Interrupted as error:
                line = str(error).partition("; continue with")[0]
                raise Interrupted(f"{line}; continue with aetrain resume={member.sweep}", error.exit_code) from error


def _ignore_sigusr1() -> None:
    """Until there is something to write a checkpoint of."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


@contextmanager
def told() -> Iterator[None]:
    """Within: what ends a run is in its log file, too."""
    try:
        yield
    except Interrupted as interrupt:
        log.debug("%s", interrupt)
        raise
    except AetrainError as error:
        log.debug("%s", error)  # the terminal has it on stderr
        raise
    except Exception:
        log.debug("a bug", exc_info=True)
        raise


@contextmanager
def reported(sweep: Path) -> Iterator[None]:
    """The sweep's report is made anew at the end of the block, however it ends."""
    try:
        yield
    finally:
        from aetrain.sweeps import report

        report.refresh(sweep)


def _hydra_main(argv: list[str], job: Job) -> None:
    """Hand the command line to Hydra, which calls the job once or, in a sweep, for every member."""

    def entry(config: DictConfig) -> float | None:
        return job(config)

    entry.swept, entry.resumes = job.swept, job.resumed  # for the sweeper and the launcher
    run = hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(entry)
    before = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = ["aetrain", *argv]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises instead of printing and exiting with 1
    try:
        with _folder_errors(job):
            run()
    finally:
        sys.argv = before[0]
        os.environ.pop("HYDRA_FULL_ERROR")
        if before[1] is not None:
            os.environ["HYDRA_FULL_ERROR"] = before[1]
        GlobalHydra.instance().clear()


@contextmanager
def _folder_errors(job: Job) -> Iterator[None]:
    """Before any job, what is raised are Hydra's answers to a folder that cannot be made or an override that it cannot
    digest."""
    try:
        yield
    except (OSError, ValueError, RecursionError) as error:
        if job.started or isinstance(error, HydraException | OmegaConfBaseException | YAMLError | BrokenPipeError):
            raise
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise
        if isinstance(error, OSError):
            raise UserError(
                f"{error.filename}: the folder cannot be made ({error.strerror}); choose another with hydra.run.dir=… "
                "or hydra.sweep.dir=…"
            ) from error
        if isinstance(error, UnicodeDecodeError):
            raise UserError(undecodable(error, sys.argv)) from error
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        raise UserError(" ".join(str(error).split())) from error


if __name__ == "__main__":
    sys.exit(main())
