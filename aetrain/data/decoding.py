"""Decoding a source's images into their place in the cache: in parallel, once, going on where it was interrupted."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aetrain.console import CountBar
from aetrain.data.cache import FORMAT, MEANS, Entry, entry, mapped
from aetrain.data.decode import Encoded, Spec, Unreadable, be_strict, decode
from aetrain.data.scan import Scan
from aetrain.errors import EXIT_CODES, Interrupted, RunFailed, UserError
from aetrain.files import parsed, read_json, write_atomically, write_json

log = logging.getLogger(__name__)

CHUNK = 1 << 22  # bytes that a worker decodes at a time
SYNC_SECONDS = 1.0  # what is decoded is safe after so long
SAY_SECONDS = 10.0  # between lines where there is no terminal
AHEAD = 2 * len(os.sched_getaffinity(0))  # chunks that are read, or decoded, and not yet written down


def ensure(place: Path, stamp: str, found: Scan, plan: Callable[[], Spec], source: Path) -> Entry:
    """The entry of these files, decoded now where it is not there: from where an interrupted decoding stopped, and
    with what an earlier state of the folder has in common with this one."""
    held = entry(place)
    if held and held.stamp == stamp:
        return held
    try:
        place.mkdir(parents=True, exist_ok=True)
        with _stoppable(source) as check, _locked(place, check):
            held = entry(place)  # another process may have made it meanwhile
            if held and held.stamp == stamp:
                return held
            return _Decoding(place, stamp, found, plan(), source, check).run(held)
    except OSError as error:
        raise RunFailed(
            f"{place}: cannot be written ({error.strerror or error}); make room there (aetrain cache shows what it "
            "holds), or choose another place with XDG_CACHE_HOME=…; what has been decoded is kept"
        ) from error


class _Done(NamedTuple):
    """A chunk that is decoded: its number, a sum over its pixels, and (number, reason) of its damaged files."""

    chunk: int
    sum: str
    damaged: list[tuple[int, str]]


class _Decoding:
    def __init__(self, place: Path, stamp: str, found: Scan, spec: Spec, source: Path, check: Callable):
        self.place, self.stamp, self.found, self.files, self.spec, self.source, self.check = (
            place, stamp, found, found.files, spec, source, check
        )  # fmt: skip
        self.row = math.prod(spec.shape) * spec.dtype.itemsize  # bytes of an image
        self.rows = max(1, min(CHUNK // self.row, found.at_once))  # images of a chunk
        self.chunks = -(-len(self.files) // self.rows)
        self.old: dict[str, tuple[int, int, int]] = {}  # name -> number, size, time of what was decoded before
        self.old_images: np.ndarray | None = None

    def run(self, held: Entry | None) -> Entry:
        be_strict()
        done = self._earlier()
        if held and held.shape == self.spec.shape and held.dtype == self.spec.dtype.name and not done:
            self._remember(held)
        began, size = time.monotonic(), len(self.files) * self.row
        self._begin(done, size)
        before = f", {100 * len(done) // self.chunks} % of them decoded before," if done else ""
        log.info(
            f"decoding {len(self.files):,} images of {self.source}{before} into {self.place} ({size / 1e6:,.1f} MB)"
        )
        descriptor = os.open(self.place / "part", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            with open(self.place / "journal", "ab") as journal:
                self._decode(descriptor, journal, done)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        made = self._conclude(done)
        log.info("decoded in %.1f s", time.monotonic() - began)
        return made

    def _plan(self) -> dict[str, Any]:
        return {"format": FORMAT, "stamp": self.stamp, "spec": list(self.spec), "rows": self.rows}

    def _earlier(self) -> dict[int, _Done]:
        """The chunks that an interrupted decoding of the same files has left. A torn last line is none."""
        done: dict[int, _Done] = {}
        with suppress(UserError, OSError, ValueError, TypeError, KeyError):
            same = read_json(self.place / "plan.json") == json.loads(json.dumps(self._plan()))
            if same and (self.place / "part").stat().st_size == len(self.files) * self.row:
                for line in (self.place / "journal").read_bytes().splitlines(keepends=True):
                    if line.endswith(b"\n"):
                        chunk, total, damaged = parsed(line)
                        done[chunk] = _Done(chunk, total, [tuple(row) for row in damaged])
        return done

    def _begin(self, done: dict[int, _Done], size: int) -> None:
        if done:
            return
        for name in ("plan.json", "part", "journal"):
            (self.place / name).unlink(missing_ok=True)
        descriptor = os.open(self.place / "part", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            if hasattr(os, "posix_fallocate") and size:
                os.posix_fallocate(descriptor, 0, size)  # a disk too small is told now
            else:
                os.ftruncate(descriptor, size)
        except OSError:
            (self.place / "part").unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
        write_json(self.place / "plan.json", self._plan())

    def _remember(self, held: Entry) -> None:
        """What files decoded before need not be decoded again."""
        with suppress(UserError, OSError, ValueError, TypeError):
            damaged = {number for number, _, _ in held.damaged}
            rows = read_json(self.place / "files.json", 1 << 30)
            self.old = {name: (i, size, at) for i, (name, size, at) in enumerate(rows) if i not in damaged}
            self.old_images = mapped(self.place, held)

    def _decode(self, descriptor: int, journal: Any, done: dict[int, _Done]) -> None:
        pending: list[_Done] = []
        last_sync = last_said = time.monotonic()

        def keep() -> None:
            nonlocal last_sync
            os.fdatasync(descriptor)
            journal.write(b"".join(json.dumps(row).encode() + b"\n" for row in pending))
            journal.flush()
            os.fsync(journal.fileno())
            pending.clear()
            last_sync = time.monotonic()

        left = [chunk for chunk in range(self.chunks) if chunk not in done]
        with (
            ThreadPoolExecutor(len(os.sched_getaffinity(0)), "decode") as pool,
            CountBar(len(self.files), "images") as bar,
        ):
            bar.advance(len(self.files) - sum(len(self._numbers(chunk)) for chunk in left))
            try:
                for result in self._results(pool, descriptor, left):
                    done[result.chunk] = result
                    pending.append(result)
                    bar.advance(len(self._numbers(result.chunk)))
                    self.check()
                    now = time.monotonic()
                    if now - last_sync > SYNC_SECONDS:
                        keep()
                    if not bar.is_shown and now - last_said > SAY_SECONDS and len(done) < self.chunks:
                        last_said = now
                        log.info("decoded %d %%", 100 * len(done) // self.chunks)
            finally:
                pool.shutdown(cancel_futures=True)
                keep()

    def _results(self, pool: ThreadPoolExecutor, descriptor: int, left: Sequence[int]) -> Iterator[_Done]:
        """Of these chunks, as they come. A few are read ahead, not all: they may be larger than memory."""
        running: set[Future[_Done]] = set()
        contents = self.found.contents(map(self._numbers, left))
        for chunk in left:
            running.add(pool.submit(self._chunk, descriptor, chunk, next(contents)))
            if len(running) > 2 * AHEAD:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in ended)
        yield from (future.result() for future in as_completed(running))

    def _numbers(self, chunk: int) -> range:
        return range(chunk * self.rows, min((chunk + 1) * self.rows, len(self.files)))

    def _chunk(self, descriptor: int, chunk: int, contents: Sequence[Encoded]) -> _Done:
        """Decode a chunk's files into their place in the file. In a thread: Pillow decodes without Python's lock."""
        numbers, damaged = self._numbers(chunk), []
        images = np.zeros((len(numbers), *self.spec.shape), self.spec.dtype)
        for image, number, content in zip(images, numbers, contents, strict=True):
            if self.stopping:
                raise _Stopped
            file = self.files[number]
            row, *same = self.old.get(file.name, (0, None, None))
            if same == [file.size, file.time]:
                image[...] = self.old_images[row]
                continue
            try:
                image[...] = decode(content, self.spec)
            except Unreadable as error:
                damaged.append((number, str(error)))
        values, offset = memoryview(images).cast("B"), chunk * self.rows * self.row
        digest = hashlib.blake2b(values, digest_size=16).hexdigest()
        while len(values):
            written = os.pwrite(descriptor, values, offset)
            values, offset = values[written:], offset + written
        return _Done(chunk, digest, damaged)

    @property
    def stopping(self) -> bool:
        return self.check.asked  # type: ignore[attr-defined]

    def _conclude(self, done: dict[int, _Done]) -> Entry:
        damaged = sorted((n, self.files[n].name, why) for chunk in done.values() for n, why in chunk.damaged)
        total = hashlib.blake2b("".join(done[i].sum for i in range(self.chunks)).encode(), digest_size=16).hexdigest()
        place, spec, files = self.place, self.spec, self.files
        made = Entry(self.stamp, spec.shape, spec.dtype.name, len(files), damaged, total, str(self.source), spec.scale)
        (place / "entry.json").unlink(missing_ok=True)  # from here to the end there is nothing whole
        for mean in place.glob(MEANS):
            mean.unlink()
        os.replace(place / "part", place / "images")
        write_atomically(place / "files.json", json.dumps([(f.name, f.size, f.time) for f in files]).encode())
        lines = "".join(f"{name}: {why}\n" for _, name, why in damaged)
        write_atomically(place / "damaged.txt", lines.encode("utf-8", "surrogateescape"))
        write_json(place / "entry.json", asdict(made))
        for name in ("plan.json", "journal"):
            (place / name).unlink(missing_ok=True)
        return made


class _Stopped(Exception):
    """A worker's answer to a signal."""


class _Check:
    """Called between chunks: raises Interrupted when a signal has asked for an end."""

    def __init__(self, source: Path):
        self.asked: signal.Signals | None = None
        self._source = source

    def receive(self, number: int, _frame: object = None) -> None:
        self.asked = signal.Signals(number)

    def __call__(self) -> None:
        if self.asked is not None:
            raise Interrupted(
                f"{self.asked.name} while decoding {self._source}: what is decoded is kept; the same command continues "
                "from there",
                EXIT_CODES[self.asked],
            )


@contextmanager
def _stoppable(source: Path) -> Iterator[_Check]:
    """Within: SIGINT, SIGTERM and SIGHUP are answered between two images."""
    check, before = _Check(source), {}
    if threading.current_thread() is threading.main_thread():
        heard = [n for n in EXIT_CODES if signal.getsignal(n) != signal.SIG_IGN]
        before = {number: signal.signal(number, check.receive) for number in heard}
    try:
        yield check
    except _Stopped:
        check()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _locked(place: Path, check: Callable[[], None]) -> Iterator[None]:
    """Within: no other process decodes into this place. Where the file system has no locks, without one."""
    with open(place / "lock", "ab") as file:
        said = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not said:
                    log.info("another process is decoding into %s: waiting for it", place)
                said = True
                check()
                time.sleep(0.2)
            except OSError:
                break
        yield
