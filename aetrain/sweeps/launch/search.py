"""A search: a sweeper other than ours, such as Optuna's, which chooses its trials one by one and starts them without
having them checked. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra.core.override_parser.overrides_parser import OverridesParser

from aetrain.arguments import Arguments
from aetrain.compose import check, composed, given_keys
from aetrain.config.rules import check_metric
from aetrain.data.card import has_val
from aetrain.errors import RunFailed, UserError
from aetrain.jobs import Job


def sweeper(overrides: Sequence[str]) -> str | None:
    """The override that chooses another sweeper than ours."""
    chosen = [word for word in overrides if word.startswith("hydra/sweeper=")]
    return chosen[-1] if chosen and not chosen[-1].endswith(("=aetrain", "=basic")) else None


def swept_keys(overrides: Sequence[str]) -> list[str]:
    """The keys of those overrides that have more than one value: a list of them, an interval, a choice, …"""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [override.key_or_group for override in parsed if override.is_sweep_override()]


def check_search(args: Arguments) -> None:
    """What can be checked of a search before its first trial. Raises a UserError."""
    chosen, swept = sweeper(args.overrides), swept_keys(args.overrides)
    if not chosen or not all("." in key for key in swept):  # groups decide which keys there are
        return
    fixed = [override for override in args.overrides if given_keys([override])[0] not in swept]
    tree = check(composed(fixed, args.config_dir, args.config_name)[0], fixed)
    check_metric(tree, swept)
    if not has_val(tree.data):
        raise UserError(f"{chosen}: chooses by the validation images, and data.val_size=0 leaves none")


def as_launched(overrides: Sequence[str]) -> list[str]:
    """The overrides of a sweep with what a search needs besides: trials named by what is searched, and, for Optuna,
    trials that diverge as results like any other."""
    words, chosen = list(overrides), sweeper(overrides)
    if chosen and not any(word.startswith("hydra.sweep.subdir=") for word in words):
        keys = ",".join(swept_keys(overrides))
        words.append(f"hydra.sweep.subdir='${{hydra.job.num}}_${{aetrain.member:${{hydra.overrides.task}},[{keys}]}}'")
    if chosen == "hydra/sweeper=optuna" and not any("max_failure_rate" in word for word in words):
        words.append("hydra.sweeper.max_failure_rate=1")
    return words


@contextmanager
def explained(job: Job) -> Iterator[None]:
    """Within: what a search's own libraries raise is said in one line. Raises a UserError or RunFailed."""
    try:
        yield
    except Exception as error:
        line = str(error).partition("\n")[0]
        if job.started and "No trials are completed" in line:  # Optuna asks for the best of them
            raise RunFailed("no trial of the search came to its end; their reasons are above") from error
        theirs = type(error).__module__.partition(".")[0] in ("sqlalchemy", "optuna", "alembic")
        if not job.started and (theirs or (isinstance(error, ImportError) and "storage" in line)):
            raise UserError(
                f"hydra.sweeper.storage: {line or 'cannot be used'}; give one as in sqlite:///search.db"
            ) from error
        raise
