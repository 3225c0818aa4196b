"""What a run has sent to its logger, in logger.jsonl in its folder: so that a resumed run goes on in the same run of
the logger's and does not repeat points, which no service takes back."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from aetrain.files import parsed

NAME = "logger.jsonl"
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Sent:
    """id: that of the logger's run, None for a new one. Everything is by the logger's name: another logger begins anew.

    The file may be someone else's: an id becomes part of a file's name, so one of another form is not taken over, nor
    is any line that we would not have written."""

    def __init__(self, folder: Path, logger: str):
        self._path, self._logger = folder / NAME, logger
        self.id: str | None = None
        self._steps: dict[str, int] = {}
        self._is_torn = False  # its last line, by a crash
        for row in self._rows():
            self._take(row)

    def _rows(self) -> list[Any]:
        if not self._path.exists():
            return []
        rows, content = [], self._path.read_bytes()
        self._is_torn = not content.endswith(b"\n")
        for line in content.splitlines():
            try:
                rows.append(parsed(line))
            except ValueError:  # torn by a crash
                continue
        return rows

    def _take(self, row: Any) -> None:
        if not isinstance(row, dict) or row.get("logger") != self._logger:
            return
        if isinstance(row.get("id"), str) and ID.fullmatch(row["id"]):
            self.id, self._steps = row["id"], {}
        elif isinstance(row.get("tag"), str) and type(row.get("step")) is int:
            self._steps[row["tag"]] = row["step"]

    def begin(self, id: str) -> None:
        """A new run of the logger's."""
        self.id, self._steps = id, {}
        self._append({"id": id})

    def has(self, tag: str, step: int) -> bool:
        return step <= self._steps.get(tag, -1)

    def add(self, tag: str, step: int) -> None:
        """Once it has been sent. tag: the first of those that were sent at once."""
        self._steps[tag] = step
        self._append({"tag": tag, "step": step})

    def _append(self, row: dict[str, Any]) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        line = json.dumps({"logger": self._logger, **row}) + "\n"
        with open(os.open(self._path, flags, 0o666), "ab") as file:
            file.write(("\n" + line if self._is_torn else line).encode())
        self._is_torn = False
