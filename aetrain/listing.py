"""`aetrain runs`: what has been trained, and how it came out. Imports no torch."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from aetrain.console import number, printable
from aetrain.errors import UserError
from aetrain.latest import OUTPUTS, path_of
from aetrain.sweeps.report.read import Member, is_run, read
from aetrain.sweeps.report.values import MISSING
from aetrain.sweeps.report.words import differing, word

DEEPEST = 3  # folders between the one that is listed and a run: outputs/sweeps/<time>/<run>
SHORTEST = 24  # letters of the choices beside the folder
PLAIN = re.compile(r"[\w=.,:/@%+\[\]-]*")  # what no shell takes for anything else; brackets find no file
MAIN = ("test/nelbo", "test/recon", "val/nelbo", "val/recon", "train/loss")  # the first that a run has is shown


def command(words: Sequence[str]) -> None:
    """`aetrain runs [folder] [tags=a,b]`: print a line for every run below the folder, the newest last. Raises a
    UserError."""
    tags = {tag for w in words if w.startswith("tags=") for tag in w.partition("=")[2].strip("[]").split(",")}
    folders = [w for w in words if not w.startswith("tags=")]
    if len(folders) > 1 or any("=" in w or w.startswith("-") for w in folders):
        raise UserError(
            f"aetrain runs {shlex.join(words)}: give a folder, tags=… or nothing, as in aetrain runs outputs"
        )
    folder = path_of("", folders[0]) if folders else OUTPUTS
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder; aetrain runs lists what is below {OUTPUTS}/")
    found = [run for run in sorted(below(folder), key=_time) if tags <= set(_tags(run))]
    if not found:
        print(printable(f"no runs below {folder}/" + (f" with tags={','.join(sorted(tags))}" if tags else "")))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    print(table(found, width))


def below(folder: Path, depth: int = DEEPEST) -> Iterator[Member]:
    """The runs in a folder, or itself. No link is followed."""
    if is_run(folder):
        yield read(folder.parent, folder.name)
    elif depth > 0:
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                yield from below(path, depth - 1)


def _time(run: Member) -> tuple[str, int]:
    """By the name that says when the run, or its sweep, was begun."""
    named = run.folder.parent.name if run.number is not None else run.folder.name
    return named[:26], run.number or 0


def _tags(run: Member) -> Sequence[str]:
    tags = run.config.get("tags", ())
    return tags if isinstance(tags, tuple) else ()


def table(runs: Sequence[Member], width: int) -> str:
    """A line for each: state, main metric, what was chosen, and the folder, which is on a line of its own where there
    is no room for it. What does not fit is cut off at the choices: the folder is what one types."""
    told = _told(runs)
    rows = [
        [printable(cell) for cell in (_state(run), _metric(run), _choices(run, told[run.folder]), str(run.folder))]
        for run in runs
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = min(widths[2], width - widths[0] - widths[1] - widths[3] - 6)
    if room < min(widths[2], SHORTEST):
        room = max(SHORTEST, width - widths[0] - widths[1] - 4)
        return "\n".join(
            f"{state:<{widths[0]}}  {metric:<{widths[1]}}  {_cut(text, room)}\n  {folder}"
            for state, metric, text, folder in rows
        )
    return "\n".join(
        f"{state:<{widths[0]}}  {metric:<{widths[1]}}  {_cut(text, room):<{room}}  {folder}"
        for state, metric, text, folder in rows
    )


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _state(run: Member) -> str:
    return f"{run.status}, step {run.step:,}" if run.status in ("running", "stopped") and run.step else run.status


def _metric(run: Member) -> str:
    return next((f"{tag} {number(v)}" for tag in MAIN if (v := run.metrics.get(tag)) is not None), "–")


def _told(runs: Sequence[Member]) -> dict[Path, list[str]]:
    """By folder, the keys of the line of a run: where it differs from the defaults, and where another of these runs of
    the same sweep does, so that a swept value is there also where it is the default. The seed comes last."""
    keys: dict[Path, dict[str, None]] = {}  # by folder, of the sweep where there is one
    seeded: set[Path] = set()
    for run in runs:
        keys.setdefault(_whole(run), {}).update(dict.fromkeys(differing(run.config)))
        if run.seed not in (0, MISSING):
            seeded.add(_whole(run))
    return {run.folder: [*keys[_whole(run)], *(["seed"] if _whole(run) in seeded else [])] for run in runs}


def _whole(run: Member) -> Path:
    """The sweep of a run, or itself."""
    return run.folder if run.number is None else run.folder.parent


def _choices(run: Member, keys: Sequence[str]) -> str:
    """In the words of a command line."""
    if run.value("model") is MISSING:
        return run.reason or "?"
    values = [(key, run.value(key)) for key in keys]
    words = [word(key, value) for key, value in values if value is not MISSING]
    return " ".join(w if PLAIN.fullmatch(w) else shlex.quote(w) for w in words if w)
