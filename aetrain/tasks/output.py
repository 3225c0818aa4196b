"""Where a task on a trained model writes: a new folder, made with the first file. Imports no torch."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from aetrain.errors import UserError
from aetrain.files import atomically, harmless, write_atomically, write_json


class Output:
    """Files are written as a whole or as they come, and appear under their names when they are complete. <task>.json is
    the last: where it is, all of the result is."""

    def __init__(self, run: Path, task: str, out: Path | None):
        """run: in whose folder a numbered one is made, unless `out` names another.

        Raises a UserError for a folder that holds something."""
        self._run, self._task, self._out = run, task, out
        self._folder: Path | None = None
        if out is not None and (out.is_symlink() or (out.exists() and not out.is_dir()) or _holds(out)):
            raise UserError(f"out={out}: is there, and not an empty folder; give a new one, as in out={out}_2")

    @property
    def folder(self) -> Path:
        """Made when it is first needed. Raises a UserError."""
        if self._folder is None:
            self._folder = self._named() if self._out else self._numbered()
        return self._folder

    def _named(self) -> Path:
        try:
            self._out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"out={self._out}: the folder cannot be made ({error.strerror})") from error
        return self._out

    def _numbered(self) -> Path:
        for number in itertools.count(1):
            folder = self._run / f"{self._task}_{number}"
            try:
                folder.mkdir()  # fails where something is, a link to nowhere, too
                return folder
            except FileExistsError:
                continue
            except OSError as error:
                raise UserError(
                    f"{folder}: cannot be made ({error.strerror}); give another folder with out=…"
                ) from error
        raise AssertionError

    def path(self, name: str) -> Path:
        """Of a file, in a subfolder or not; the subfolder is made."""
        path = self.folder / name
        if path.parent != self.folder:
            path.parent.mkdir(exist_ok=True)
        return path

    def file(self, name: str, content: bytes) -> Path:
        """A whole file."""
        write_atomically(self.path(name), content)
        return self.path(name)

    def json(self, name: str, tree: Any) -> Path:
        """Strict JSON."""
        write_json(self.path(name), tree)
        return self.path(name)

    @contextmanager
    def rows(self, name: str, header: Sequence[str]) -> Iterator[Rows]:
        """A CSV file, row by row, however many there are."""
        with atomically(self.path(name)) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="", write_through=True)
            yield Rows(text, header)
            text.flush()
            text.detach()

    @contextmanager
    def stream(self, name: str) -> Iterator[io.BufferedWriter]:
        """A file written as its content comes."""
        with atomically(self.path(name)) as file:
            yield file


class Rows:
    """Of a CSV file."""

    def __init__(self, file: TextIO, header: Sequence[str]):
        self._writer = csv.writer(file, lineterminator="\n")
        self.add(header)

    def add(self, row: Iterable[Any]) -> None:
        """Text that a spreadsheet would compute is marked as text; numbers are written in full."""
        self._writer.writerow(map(harmless, row))


def _holds(folder: Path) -> bool:
    try:
        return folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise UserError(f"out={folder}: cannot be read ({error.strerror})") from error
