"""The `aetrain` command: argv → the run or task that it names. Imports no torch."""

from __future__ import annotations

import errno
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from aetrain import __version__, api, jobs, on_runs, resume
from aetrain.arguments import SWITCHES, Arguments, parse
from aetrain.compose import check, check_typed, composed, digested, given_keys, hydra_with, without_hydra
from aetrain.config.command import check_words
from aetrain.config.explain import explain
from aetrain.config.schema import Config
from aetrain.config.tables import ON_RUNS, TASKS
from aetrain.config.tree import in_short, plain, typed
from aetrain.console import printable
from aetrain.errors import AetrainError, Interrupted, UserError
from aetrain.hydra_parts import get_args_parser
from aetrain.logs import shown
from aetrain.surroundings import ended_by_signals, escape_unwritable, open_closed_streams, reader_may_leave
from aetrain.sweeps import report
from aetrain.sweeps.launch import search


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code: 0 done, 1 the run failed, 2 the user's mistake, 130, 143
    and 129 after SIGINT, SIGTERM and SIGHUP. A bug raises."""
    argv = list(sys.argv[1:] if argv is None else argv)
    open_closed_streams()
    escape_unwritable()
    try:
        with ended_by_signals():
            _run(argv)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        return _report(explain(error, argv), 2)
    except AetrainError as error:
        return _report(str(error), error.exit_code)
    except SystemExit as exit:  # Hydra's way to end after --help and the like
        return int(exit.code or 0)
    except Interrupted as interrupt:
        return _report(str(interrupt), interrupt.exit_code, apart="; continue with ")
    except KeyboardInterrupt:
        return _report("stopped at once", 130)
    except OSError as error:
        if error.filename is not None and error.errno in (errno.EACCES, errno.EPERM):
            return _report(f"{error.filename}: {error.strerror}; give another, or have its owner let you in", 2)
        if error.errno != errno.ENAMETOOLONG:
            raise
        name = max(Path(str(error.filename)).parts, key=len)
        return _report(f"{name[:20]}…: a name of {len(name)} characters, which the file system does not take", 2)
    finally:
        with reader_may_leave():
            pass
    return 0


def _report(message: str, code: int, apart: str = "") -> int:
    """apart: what ends a line of a terminal that has no room for all, so that the command behind it stays whole."""
    message = printable(message)
    if apart and sys.stderr.isatty() and len(f"aetrain: {message}") > shutil.get_terminal_size().columns:
        message = message.replace(apart, f"{apart.rstrip()}\n  ")
    print(f"aetrain: error: {message}" if code in (1, 2) else f"aetrain: {message}", file=sys.stderr)
    return code


def _run(argv: list[str]) -> None:
    if "--version" in argv:
        print(f"aetrain {__version__}")
        return
    if argv and argv[0] == "runs":
        from aetrain import listing

        with reader_may_leave():
            listing.command(argv[1:])
        return
    if argv and argv[0] == "cache":
        with reader_may_leave():
            _cache(argv[1:])
        return
    args = parse(_with_task(argv))
    if on_runs.task_of(args.overrides) in ON_RUNS:
        _on_runs(args)
        return
    args.overrides = on_runs.prefixed(args.overrides)
    check_words(args.overrides, args.multirun)
    if args.help:
        from aetrain.config.help import page

        words = [word for word in args.overrides if not word.startswith(("resume=", "run=", "sweep="))]
        config = without_hydra(composed(words, args.config_dir, args.config_name)[0])
        for key in OmegaConf.missing_keys(config):  # what has no default is shown all the same
            OmegaConf.update(config, key, "…")
        with reader_may_leave():
            print(page(typed(config, given_keys(words))))
        return
    if args.hydra_help or args.cfg or args.info or args.shell_completion:
        with reader_may_leave():
            _show(args)
        return
    if "task=report" in args.overrides:
        with reader_may_leave():
            report.command(args.overrides, args.multirun)
        return
    resumed = resume.arguments(args.overrides)
    if args.multirun and resumed and not resumed.sweep:
        raise UserError(f"resume={resumed.folder}: a single run; leave out --multirun")
    if resumed and resumed.config:
        check_typed(resumed.config)
        _say(args, resumed.config)
        api.run(resumed.config, resumed.folder, resumed.further, resumed=True)
    elif args.multirun or resumed:
        _sweep(args, resumed)
    else:
        config, context = composed(args.overrides, args.config_dir, args.config_name)
        if config.hydra.mode == RunMode.MULTIRUN:
            raise UserError("hydra.mode=MULTIRUN: start a sweep with --multirun")
        config.hydra.mode = RunMode.RUN
        tree = check(config, args.overrides)
        _say(args, tree)
        jobs.run_single(tree, config, context, args.overrides)


def _say(args: Arguments, config: Config) -> None:
    """-v: the configuration, before training."""
    if args.verbose:
        with reader_may_leave():
            print(in_short(config, min(100, shutil.get_terminal_size().columns)))


def _with_task(argv: list[str]) -> list[str]:
    """argv with task=… for a verb, which may stand behind switches."""
    first = next((i for i, word in enumerate(argv) if word not in SWITCHES), len(argv))
    if first < len(argv) and argv[first] in TASKS:
        return [*argv[:first], f"task={argv[first]}", *argv[first + 1 :]]
    return argv


def _on_runs(args: Arguments) -> None:
    """A task on a trained model, or its help."""
    if args.help:
        from aetrain.config.help import task_page

        words = on_runs.help_words(args.overrides)
        config = typed(without_hydra(composed(words, args.config_dir, args.config_name)[0]), given_keys(words))
        with reader_may_leave():
            print(task_page(config))
        return
    if args.multirun:
        raise UserError("a task runs over a whole sweep with run=outputs/sweeps/<time>; leave out --multirun")
    asked = on_runs.request(args.overrides, args.config_dir, args.config_name)
    if args.cfg:
        with reader_may_leave():
            print(OmegaConf.to_yaml(plain(on_runs.configuration(asked))))
        return
    with shown():
        on_runs.do(asked, show=True)


def _check_named(overrides: Sequence[str]) -> None:
    """A sweep has one name."""
    for word in overrides:
        if word.startswith("name=") and search.swept_keys([word]):
            raise UserError(f"{word}: is the same for all runs of a sweep; give one name")


def _cache(words: Sequence[str]) -> None:
    """`aetrain cache`, `aetrain cache clear`: what has been decoded of the user's own images."""
    from aetrain.data import cache

    match list(words):
        case [] | ["show"]:
            for held in cache.show():
                state = "decoding" if held.images is None else f"{held.images:,} images"
                print(f"{held.bytes / 1e6:10,.1f} MB  {state:>18}  {printable(held.source or '?')}")
            print(f"{sum(held.bytes for held in cache.show()) / 1e6:10,.1f} MB  in all; aetrain cache clear removes it")
        case ["clear"]:
            print(f"{cache.clear() / 1e6:,.1f} MB removed")
        case _:
            raise UserError(f"aetrain cache {' '.join(words)}: give aetrain cache or aetrain cache clear")


def _sweep(args: Arguments, resumed: resume.Resumed | None) -> None:
    overrides = list(resumed.launch if resumed else args.overrides)
    if "hydra/launcher=submitit_slurm" in overrides and not shutil.which("srun"):
        raise UserError(
            "hydra/launcher=submitit_slurm: srun was not found, so SLURM is not here; start it on the cluster, or "
            "try it with hydra/launcher=submitit_local"
        )
    _check_named(overrides)
    job = jobs.Job(swept=tuple(search.swept_keys(overrides)))
    if resumed:
        job.members = {member.folder: member for member in resumed.sweep.members}
        job.swept = tuple(jobs.swept_keys([member.overrides for member in resumed.sweep.members]))
    else:
        search.check_search(args)
        overrides = search.as_launched(overrides)
    with (
        hydra_with(args.config_dir) as hydra,
        digested([args.config_dir or "", *overrides], lambda: not job.started),
        search.explained(job),
    ):
        hydra.multirun(config_name=args.config_name or "config", task_function=job, overrides=overrides)


def _show(args: Arguments) -> None:
    """What Hydra itself shows of a configuration, of its plugins or its help; of a run that is resumed, what it would
    continue with."""
    if args.cfg and (resumed := resume.arguments(args.overrides)):
        if resumed.sweep:
            raise UserError(
                f"resume={resumed.folder}: a sweep; show one of its runs, as in resume={resumed.folder}/<run>"
            )
        check_typed(resumed.config)
        print(OmegaConf.to_yaml(plain(resumed.config)))
        return
    with hydra_with(args.config_dir) as hydra, digested([args.config_dir or "", *args.overrides]):
        name = args.config_name or "config"
        if args.hydra_help:
            hydra.hydra_help(config_name=name, args_parser=get_args_parser(), args=args)
        elif args.cfg:
            hydra.show_cfg(name, args.overrides, args.cfg, args.package, args.resolve)
        elif args.shell_completion:
            hydra.shell_completion(config_name=name, overrides=args.overrides)
        else:
            hydra.show_info(args.info, config_name=name, overrides=args.overrides)


if __name__ == "__main__":
    sys.exit(main())
