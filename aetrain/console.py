"""What the terminal shows: log lines, a progress bar, a table at the end."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import Any, Self

from aetrain.config.words import is_shown

# Which member of a sweep the lines are about, where several are trained at once.
_subject: ContextVar[str | None] = ContextVar("subject", default=None)


@contextmanager
def about(member: str) -> Iterator[None]:
    """Within: log lines are about this member."""
    token = _subject.set(member)
    try:
        yield
    finally:
        _subject.reset(token)


class OnlyAbout(logging.Filter):
    """Lets the lines about one member pass, and those about none in particular."""

    def filter(self, record: logging.LogRecord) -> bool:
        return _subject.get() in (None, self.name)


def printable(text: str) -> str:
    """The text with an escape for every character that a terminal would obey and not show, a newline too: names in
    someone else's folder may hold any."""
    return "".join(char if is_shown(char) else repr(char)[1:-1] for char in text)


def labelled(member: str, text: str) -> str:
    """Every line of a text behind the member's name."""
    return "\n".join(f"[{member}] {line}" for line in text.split("\n"))


class ConsoleHandler(logging.Handler):
    """Writes to whatever sys.stdout is at the moment, so that lines appear above a running progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        if _listener and record.levelno < logging.WARNING:
            return  # of one run of a sweep that says a line about each at its end
        # The newlines of a line of ours stay; a foreign name is made printable where it enters one.
        text, member = "\n".join(map(printable, self.format(record).split("\n"))), _subject.get()
        with suppress(BrokenPipeError):  # the reader of a pipe has left; the run continues and its log has every line
            print(labelled(member, text) if member else text, file=sys.stdout, flush=True)


SHORTEST = 10  # letters of a bar

# Who is told how much of a training is done, in place of a bar and lines of its own: a sweep's bar for all.
_listener: Callable[[float], None] | None = None


@contextmanager
def told(listener: Callable[[float], None]) -> Iterator[None]:
    """Within: trainings show no bar and no lines but warnings; `listener` is told their share that is done."""
    global _listener
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before


def without_repeats(values: Mapping[str, float]) -> dict[str, float]:
    """Without terms that are the loss itself, as recon is where nothing else is added up. By name or by tag."""
    losses = {name: value for name, value in values.items() if name.rpartition("/")[2] == "loss"}

    def repeats(name: str, value: float) -> bool:
        split, slash, term = name.rpartition("/")
        loss = losses.get(f"{split}{slash}loss")
        return term != "loss" and loss is not None and math.isclose(value, loss, rel_tol=1e-6)

    return {name: value for name, value in values.items() if not repeats(name, value)}


def number(value: float) -> str:
    """A metric in five significant digits."""
    return f"{value:.5g}" if abs(value) < 1e5 else f"{value:.4e}"


class _Bar:
    """Something of rich's while the block runs, or nothing where stdout is no terminal."""

    _bar: Any = None

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()


INTERRUPT = "^C"  # which a terminal shows behind the bar: a bar as wide as the terminal would leave its line for it


def _progress(*columns: Any, **options: Any) -> Any:
    """A bar of rich's that vanishes at its end, and leaves room for what the terminal shows of Ctrl-C."""
    from rich import get_console
    from rich.constrain import Constrain
    from rich.progress import Progress

    class Narrow(Progress):
        def get_renderable(self) -> Any:
            return Constrain(super().get_renderable(), max(1, get_console().width - len(INTERRUPT) - 1))

    return Narrow(*columns, transient=True, **options)


class ProgressBar(_Bar):
    """Epoch, bar, percent, time left and the loss of a training, then what else there is room for; on a terminal only.
    Where a sweep has a bar for all, that is told how far this one is. A context manager."""

    def __init__(self, total_steps: int, done: int, epochs: int):
        self._shown, self._total, self._values, self._listener = 0.0, total_steps, "", _listener
        if _listener or not sys.stdout.isatty():
            return
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.table import Column

        unwrapped = {"table_column": Column(no_wrap=True)}
        self._bar = _progress(
            TextColumn("epoch {task.fields[epoch]}/" + str(epochs), **unwrapped),
            BarColumn(bar_width=None),
            TaskProgressColumn(**unwrapped),
            TimeRemainingColumn(compact=True, **unwrapped),
            TextColumn("{task.fields[terms]}", **unwrapped),
            expand=True,
        )
        self._room = (
            self._bar.console.width
            - len(INTERRUPT)
            - 1
            - len(f"epoch {epochs}/{epochs}")
            - len("  100%  00:00:00  ")
            - SHORTEST
        )
        self._task = self._bar.add_task("", total=total_steps, completed=done, epoch=1, terms="")

    def advance(self, step: int, epoch: int) -> None:
        """Called at every step; redraws ten times a second at most."""
        if (self._bar or self._listener) and (now := time.monotonic()) - self._shown > 0.1:
            self._shown = now
            if self._listener:
                self._listener(step / self._total)
            else:
                self._bar.update(self._task, completed=step, epoch=epoch)

    def terms(self, values: Mapping[str, float], images_per_second: float) -> None:
        """The latest means of the training split, the loss first."""
        if self._bar:
            shown = [f"{name} {number(value)}" for name, value in without_repeats(values).items()]
            self._bar.update(self._task, terms=fitting([*shown, f"{images_per_second:,.0f} img/s"], self._room))


def fitting(words: Sequence[str], room: int) -> str:
    """As many of them, in order, as there is room for, and the first in any case."""
    text = words[0]
    for word in words[1:]:
        if len(text) + 2 + len(word) <= room:
            text += f"  {word}"
    return text


class CountBar(_Bar):
    """How many of a number of things are done, and the time left, on a terminal only; lines appear above it."""

    def __init__(self, total: int, things: str):
        if sys.stdout.isatty():
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            text = TextColumn(f"{{task.completed:,}} of {{task.total:,}} {things}")
            self._bar = _progress(text, BarColumn(bar_width=None), TimeElapsedColumn(), TimeRemainingColumn())
            self._task = self._bar.add_task("", total=total)

    @property
    def is_shown(self) -> bool:
        return self._bar is not None

    def advance(self, by: int = 1) -> None:
        if self._bar:
            self._bar.advance(self._task, by)


class Waiting(_Bar):
    """What is being done, and for how long already, on a terminal only."""

    def __init__(self, what: str):
        if sys.stdout.isatty():
            from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

            self._bar = _progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            self._bar.add_task(what, total=None)


class MembersBar(_Bar):
    """The runs of a sweep: how many have ended, and the time left, on a terminal only; lines appear above it."""

    def __init__(self, runs: int):
        self._shares: dict[str, float] = {}
        if sys.stdout.isatty():
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

            text = TextColumn(f"{{task.fields[ended]}} of {runs} runs")
            self._bar = _progress(
                text, BarColumn(bar_width=None), TaskProgressColumn(), TimeRemainingColumn(), expand=True
            )
            self._task = self._bar.add_task("", total=runs, ended=0)

    @property
    def is_shown(self) -> bool:
        return self._bar is not None

    def share(self, run: str, share: float) -> None:
        """How much of a run is done, 1 when it has ended."""
        self._shares[run] = share
        if self._bar:
            ended = sum(share >= 1 for share in self._shares.values())
            self._bar.update(self._task, completed=sum(self._shares.values()), ended=ended)

    def part(self, runs: Sequence[str]) -> AbstractContextManager[None]:
        """Within: these runs are trained in this process, as one, and this bar is theirs."""

        def listen(share: float) -> None:
            for run in runs:
                self.share(run, min(share, 0.999))

        return told(listen) if self.is_shown else nullcontext()


def table(title: str, rows: Mapping[str, float | None]) -> str:
    """A small table of metrics, as text. None: not a finite number."""
    width = max(map(len, rows), default=0)
    shown = {name: "–" if value is None else number(value) for name, value in rows.items()}
    return "\n".join([title, *(f"  {name:<{width}}  {value:>10}" for name, value in shown.items())])


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with a line for each row, its columns as wide as what is in them."""
    lines = [[printable(cell) for cell in line] for line in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(f"{c:>{w}}" for c, w in zip(line, widths, strict=True)) for line in lines)
