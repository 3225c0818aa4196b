"""A TensorBoard event file, written in the calling thread.

TensorBoard's own writer has a thread of its own: a full disk then shows as a traceback from elsewhere, and the file's
length at a checkpoint, where a resumed run cuts it off, is not known.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from pathlib import Path

import google_crc32c
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary

PREFIX = "events.out.tfevents."


class EventFile:
    """A new event file in the folder, which readers take up after those that are there.

    A resumed run does not append to the file that it cut off: a TensorBoard that has read on beyond the cut waits there
    for more, and shows nothing of what comes before (tensorboard#4055). In a file of its own, which begins by saying at
    which step the run goes on, it is shown, and what the cut took away is dropped."""

    def __init__(self, folder: Path, step: int = 0):
        """step: those made before."""
        last = max((_second(path) for path in folder.glob(PREFIX + "*")), default=-1)
        second = max(int(time.time()), last + 1)  # readers go by the name
        self._file = open(folder / f"{PREFIX}{second:010d}.{socket.gethostname()}.{os.getpid()}", "xb")  # noqa: SIM115
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))
        if step:
            start = SessionLog(status=SessionLog.START)
            self._write(Event(wall_time=time.time(), step=step + 1, session_log=start))

    def add(self, summary: Summary, step: int) -> None:
        self._write(Event(wall_time=time.time(), step=step, summary=summary))

    def close(self) -> None:
        self._file.close()

    def _write(self, event: Event) -> None:
        self._file.write(_record(event.SerializeToString()))
        self._file.flush()


def _record(data: bytes) -> bytes:
    """TensorFlow's framing. To sum a kilobyte takes TensorBoard's writer, a Python loop over the bytes, 0.2 ms."""
    length = struct.pack("<Q", len(data))
    return length + _masked_sum(length) + data + _masked_sum(data)


def _masked_sum(data: bytes) -> bytes:
    """CRC-32C, rotated and shifted, since the sum of data that hold their sum says little (TFRecord)."""
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _second(path: Path) -> int:
    """That in an event file's name; -1 in a name of another form."""
    digits = path.name.removeprefix(PREFIX).partition(".")[0]
    return int(digits) if digits.isdecimal() and len(digits) <= 10 else -1
