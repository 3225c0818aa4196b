"""A TensorBoard event file, written in the calling thread.

TensorBoard's own writer has a thread of its own: a full disk then shows as a traceback from elsewhere, and the file's
length at a checkpoint, where a resumed run cuts it off, is not known.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


class EventFile:
    """Appends to the folder's event file, or starts one."""

    def __init__(self, folder: Path):
        existing = sorted(folder.glob("events.out.tfevents.*"))
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
        self._file = open(existing[-1] if existing else folder / name, "ab")  # noqa: SIM115
        self._records = RecordWriter(self._file)
        if not existing:
            self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def add(self, summary: Summary, step: int) -> None:
        self._write(Event(wall_time=time.time(), step=step, summary=summary))

    def close(self) -> None:
        self._file.close()

    def _write(self, event: Event) -> None:
        self._records.write(event.SerializeToString())
        self._file.flush()
