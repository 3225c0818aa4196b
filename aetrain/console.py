"""What the terminal shows: log lines, a progress bar, a table at the end."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Self

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


def labelled(member: str, text: str) -> str:
    """Every line of a text behind the member's name."""
    return "\n".join(f"[{member}] {line}" for line in text.split("\n"))


class ConsoleHandler(logging.Handler):
    """Writes to whatever sys.stdout is at the moment, so that lines appear above a running progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        text, member = self.format(record), _subject.get()
        with suppress(BrokenPipeError):  # the reader of a pipe has left; the run goes on and its log has every line
            print(labelled(member, text) if member else text, file=sys.stdout, flush=True)


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


class ProgressBar(_Bar):
    """Epoch, step, loss terms, images/s and time left, on a terminal only. A context manager."""

    def __init__(self, total_steps: int, done: int, epochs: int):
        self._shown = 0.0
        if not sys.stdout.isatty():
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
            BarColumn(bar_width=None),
            TextColumn("step {task.completed}/{task.total}  {task.fields[terms]}"),
            TimeRemainingColumn(),
            transient=True,
        )
        self._task = self._bar.add_task("", total=total_steps, completed=done, epoch=1, terms="")

    def advance(self, step: int, epoch: int) -> None:
        """Called at every step; redraws ten times a second at most."""
        if self._bar and (now := time.monotonic()) - self._shown > 0.1:
            self._shown = now
            self._bar.update(self._task, completed=step, epoch=epoch)

    def terms(self, values: Mapping[str, float], images_per_second: float) -> None:
        """The latest means of the training split."""
        if self._bar:
            text = "  ".join(f"{name} {number(value)}" for name, value in values.items())
            self._bar.update(self._task, terms=f"{text}  {images_per_second:,.0f} img/s")


class CountBar(_Bar):
    """So many of a number of things, and the time left, on a terminal only; lines appear above it."""

    def __init__(self, total: int, things: str):
        if sys.stdout.isatty():
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            text = TextColumn(f"{{task.completed:,}} of {{task.total:,}} {things}")
            self._bar = Progress(text, BarColumn(bar_width=None), TimeElapsedColumn(), TimeRemainingColumn(),
                                 transient=True)  # fmt: skip
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
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            self._bar = Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), transient=True)
            self._bar.add_task(what, total=None)


class MembersBar(CountBar):
    """Members of a sweep that have ended."""

    def __init__(self, members: int):
        super().__init__(members, "members")


def table(title: str, rows: Mapping[str, float | None]) -> str:
    """A small table of metrics, as text. None: not a finite number."""
    width = max(map(len, rows), default=0)
    shown = {name: "–" if value is None else number(value) for name, value in rows.items()}
    return "\n".join([title, *(f"  {name:<{width}}  {value:>10}" for name, value in shown.items())])


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with a line for each row, its columns as wide as what is in them."""
    widths = [max(len(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    return "\n".join("  ".join(f"{c:>{w}}" for c, w in zip(line, widths, strict=True)) for line in (header, *rows))
