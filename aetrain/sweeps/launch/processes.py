"""The members of a sweep in processes side by side, each with its share of the CPU's threads.

The processes are forked from a server that has imported torch and done nothing with it: torch's threads do not survive
a fork, and importing it takes seconds. A member that dies takes nothing with it.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from aetrain.console import MembersBar, labelled, printable
from aetrain.device import cpu_quota
from aetrain.errors import EXIT_CODES, Interrupted, RunFailed, UserError
from aetrain.folder import continued
from aetrain.jobs import Job
from aetrain.sweeps.launch.launched import Launched, ended
from aetrain.sweeps.launch.worker import work

log = logging.getLogger(__name__)

ERRORS = {1: RunFailed, 2: UserError}  # by the exit code that a run alone would end with


def run_in_processes(members: Sequence[Launched], hydra_context: Any, job: Job, places: Sequence[int | None]) -> None:
    """Fill in what every member returns. places: for each of the processes side by side the GPU that it has, by its
    index. After SIGINT or SIGTERM, which are passed on to the members as SIGUSR1 is, raises Interrupted once all of
    them have written their checkpoints."""
    # From the number of members that there are, not that are left: threads show in the last bits of a result.
    threads = max(1, cpu_quota() // len(places))
    gpus = len({place for place in places if place is not None})
    log.info("%d runs, %d at a time in processes of %d thread%s%s", len(members), len(places), threads,
             "s" * (threads > 1), f" on {gpus} GPUs" if gpus > 1 else "")  # fmt: skip
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["aetrain.sweeps.launch.preload"])
    waiting, running, free = list(members), [], list(places)
    with _passing_on(running) as stop, MembersBar(len(members)) as bar:
        while running or (waiting and not stop):
            while waiting and free and not stop:
                member, place = waiting.pop(0), free.pop(0)
                running.append(Process(context, member, place, hydra_context, job, threads, bar.is_shown))
                if stop and not running[-1].told:  # it came while the process was made
                    running[-1].send(stop[0])
            wait([sign for process in running for sign in process.signs])
            for process in list(running):
                process.hear()
                bar.share(process.member.label, process.share)
            for process in [process for process in running if not process.is_alive()]:
                running.remove(process)
                free.append(process.place)
                process.conclude()
                bar.share(process.member.label, 1)
                if bar.is_shown:
                    log.info("%s", ended(process.member))
    if stop:
        folder = members[0].sweep
        raise Interrupted(
            f"{stop[0].name}: the runs' checkpoints are written; continue with {continued(folder)}",
            EXIT_CODES[stop[0]],
        )


@contextmanager
def _passing_on(running: Sequence[Process]) -> Iterator[list[signal.Signals]]:
    """Within: signals go to the running members. Yields those that ask to stop, as they come."""
    stop: list[signal.Signals] = []

    def pass_on(number: int, _frame: object = None) -> None:
        if number in EXIT_CODES:
            stop.append(signal.Signals(number))
        for process in running:
            process.send(number)

    if threading.current_thread() is not threading.main_thread():  # Python allows handlers in the main thread only
        yield stop
        return
    heard = [n for n in EXIT_CODES if signal.getsignal(n) is not signal.SIG_IGN] + [signal.SIGUSR1]
    before = {number: signal.signal(number, pass_on) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Process:
    """A member in a process of its own, seen from the sweep's. Its lines are printed here behind its label. share: how
    much of it is done, if wanted."""

    def __init__(self, context: Any, member: Launched, place: int | None, hydra_context: Any, job: Job, threads: int,
                 asked: bool):  # fmt: skip
        """place: the index of its GPU; None where the member's own configuration says it."""
        self.member, self.place, self.told, self.share = member, place, False, 0.0
        self._said: list[tuple] = []
        self._listens = self._has_hung_up = False
        pipes = [os.pipe(), os.pipe()]
        writers = [Connection(write, readable=False) for _, write in pipes]
        self._results, theirs = context.Pipe(duplex=False)
        its_job = job.only(member.member if place is None else member.member.on_gpu(place))
        arguments = (member.config, hydra_context, its_job, threads, *writers, theirs, asked)
        self._process = context.Process(target=work, args=arguments)
        self._process.start()
        for end in (*writers, theirs):
            end.close()
        self._readers = [
            threading.Thread(target=_relay, args=(read, stream, member.label), daemon=True)
            for (read, _), stream in zip(pipes, ("stdout", "stderr"), strict=True)
        ]
        for reader in self._readers:
            reader.start()

    @property
    def signs(self) -> list[Any]:
        """What `wait` waits for: its end, or a message."""
        return [self._process.sentinel, *([] if self._has_hung_up else [self._results])]

    def hear(self) -> None:
        """Receive its messages."""
        try:
            while not self._has_hung_up and self._results.poll():
                match self._results.recv():
                    case ("listening",):
                        self._listens = True
                    case ("at", share):
                        self.share = min(share, 0.999)
                    case word:
                        self._said.append(word)
        except EOFError:
            self._has_hung_up = True

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def send(self, number: int) -> None:
        """Pass a signal on. A member that does not listen yet has nothing to lose and is ended by any that stops."""
        self.told, listens = True, self._listens or (not self._has_hung_up and self._results.poll())
        if self.is_alive() and (listens or number in EXIT_CODES):
            os.kill(self._process.pid, number if listens else signal.SIGKILL)

    def conclude(self) -> None:
        """After its end: what it returned."""
        for reader in self._readers:
            reader.join(timeout=5)  # not forever: what the member itself started may hold the pipe
        self.hear()
        self._process.join()
        self.member.returned = self._returned(self._said)

    def _returned(self, said: Sequence[tuple]) -> JobReturn:
        returned = JobReturn(overrides=list(self.member.member.overrides), status=JobStatus.FAILED)
        match said:
            case [("done", value)]:
                returned.status, returned.return_value = JobStatus.COMPLETED, value
            case [("failed", message, code)]:
                returned.return_value = ERRORS[code](message)
            case [("interrupted", message)]:
                returned.return_value = RunFailed(message)
            case [("bug", message)]:
                returned.return_value = RuntimeError(f"{message}; its traceback is above")
            case _:
                code = self._process.exitcode
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
                hint = "; was there enough memory?" if code == -signal.SIGKILL else ""
                returned.return_value = RunFailed(f"its process {how}{hint}")
        return returned


def _relay(fd: int, stream: str, label: str) -> None:
    with open(fd, encoding="utf-8", errors="replace") as lines, suppress(BrokenPipeError):
        for line in lines:
            print(labelled(label, printable(line.removesuffix("\n"))), file=getattr(sys, stream), flush=True)
