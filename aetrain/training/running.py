"""Steps in a row: one by one, or on a GPU some at a time as one CUDA graph. With its schedules before a step and its
meters after it, so that all of it can be captured."""

from __future__ import annotations

import functools
import gc
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

from aetrain.errors import RunFailed
from aetrain.training.batches import Batches, Fetched, Indices
from aetrain.training.meters import Meters
from aetrain.training.out_of_memory import is_out_of_memory
from aetrain.training.step import Step

log = logging.getLogger(__name__)

WARM_UP = 4  # steps before a capture: lazily made state and workspaces must be there first
TOGETHER = 10  # steps of one graph: the host then has time to spare also where a step takes 50 µs
LONG = 0.05  # seconds of a step from which on they are not put together: a signal waits for the end of a graph

# Does steps from the 0-based `first` on, at least one and at most `most`, and returns how many. The next event of the
# run (a log point, the end of an epoch) may come after the last of `most` steps, not before.
Runner = Callable[[int, int], int]


def runner(config, step: Step, batches: Batches, meters: Meters, schedule: Schedule, device: torch.device) -> Runner:
    """What trainer.cuda_graph asks for: null is a graph where one is known to be captured: of our own models, networks
    and data, and images that lie on the device."""
    wanted = config.trainer.cuda_graph
    if device.type == "cuda" and Graphed.has_failed:
        raise RunFailed("a step of an earlier run of this process could not be captured: start this run anew")
    if device.type == "cuda" and config.optimizer.name != "lbfgs":
        parts = [part for part in (config.model, config.net, config.prior, config.data) if part is not None]
        ours = all(type(part).__module__.startswith("aetrain.") for part in parts)
        if wanted or (wanted is None and ours and batches.is_resident):
            return Graphed(step, batches, meters, schedule, device)
    elif wanted:
        log.info("trainer.cuda_graph=true: there is no GPU here, steps run eagerly")
    return eager(step, batches, meters, schedule)


def captures(run: Runner, most: int) -> bool:
    """Whether the runner's next call captures a graph."""
    return isinstance(run, Graphed) and run.captures(most)


class Schedule(Protocol):
    """What changes from step to step by plan. places: the tensors on the device that hold it."""

    places: list[Tensor]

    def values(self, step: int) -> list[float | list[float]]:
        """What the places hold at the 0-based step."""

    def apply(self, step: int) -> None:
        """Write it."""


def eager(step: Step, batches: Batches, meters: Meters, schedule: Schedule) -> Runner:
    """One step at a time."""

    def run(first: int, most: int) -> int:
        schedule.apply(first)
        meters.add(step(*batches.get(first)))
        return 1

    return run


class Graphed:
    """A Runner whose steps, gather to meters, are captured once as CUDA graphs of one and of TOGETHER steps: a launch
    instead of about a hundred per step.

    Everything that changes between steps lies in tensors that keep their place: what the batches are made from and the
    scheduled values, copied in here; the optimizer's, the latch's and the meters' state. The steps before the capture
    are training steps like any other. Raises RunFailed where the step cannot be captured: torch's allocator cannot be
    repaired after that.
    """

    has_failed = False  # to capture a step, in this process

    def __init__(self, step: Step, batches: Batches, meters: Meters, schedule: Schedule, device: torch.device):
        self._step, self._meters, self._schedule = step, meters, schedule
        self._batches = Indices(batches, TOGETHER) if batches.is_resident else Fetched(batches, device)
        self._together = self._batches.room  # steps of the larger graph
        self._values = [place.new_zeros(self._batches.room, *place.shape) for place in schedule.places]
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}  # by how many steps they make
        self._side = _stream_of_its_own(device)
        self._warm_up = WARM_UP  # steps that are left before the capture
        self._ended: torch.cuda.Event | None = None  # when the last replay has

    def __call__(self, first: int, most: int) -> int:
        count = self._count(most)
        self._batches.write(first, count)
        for place, values in zip(self._values, self._planned(first, count), strict=True):
            place[:count].copy_(values, non_blocking=True)
        if self._warm_up:
            self._warm_up -= 1
            took = self._on_a_stream_of_its_own()  # of the last, in which nothing is made for the first time
            self._together = 1 if took > LONG else self._batches.room
        else:
            if count not in self._graphs:
                self._graphs[count] = self._captured(count)
            self._graphs[count].replay()
            self._keep_up()
        return count

    def _count(self, most: int) -> int:
        """Of the steps that the next call makes."""
        return self._together if most >= self._together and not self._warm_up else 1

    def captures(self, most: int) -> bool:
        """Whether the next call does, into which no signal may break."""
        return not self._warm_up and self._count(most) not in self._graphs

    def _keep_up(self) -> None:
        """Wait for the end of the replay before this one. The device has this one to do meanwhile; and a signal waits
        for two, not for all that the host could have queued by then."""
        before, self._ended = self._ended, torch.cuda.Event()
        self._ended.record(torch.cuda.current_stream(self._side.device))
        if before is not None:
            before.synchronize()

    def _planned(self, first: int, count: int) -> list[Tensor]:
        """The scheduled values of these steps, (count, *place.shape) for each place."""
        steps = [self._schedule.values(step) for step in range(first, first + count)] if self._values else []
        return [torch.tensor([step[i] for step in steps], dtype=place.dtype) for i, place in enumerate(self._values)]

    def _do(self, count: int) -> None:
        """So many steps, without the host."""
        for i in range(count):
            for place, values in zip(self._schedule.places, self._values, strict=True):
                place.copy_(values[i])
            self._meters.add(self._step(*self._batches.read(i)))

    def _on_a_stream_of_its_own(self) -> float:
        """A step on the stream of the capture, as torch requires: what is allocated lazily then belongs to it. Returns
        the seconds that it took."""
        current = torch.cuda.current_stream(self._side.device)
        current.synchronize()
        began = time.perf_counter()
        with torch.cuda.stream(self._side):
            self._do(1)
        self._side.synchronize()
        return time.perf_counter() - began

    def _captured(self, count: int) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        # One pool for both graphs: nothing that outlives a step lies in it, so the order of replays does not matter.
        pool = next((other.pool() for other in self._graphs.values()), None)
        before = sys.exception()
        try:
            # The thread that reads images ahead may allocate meanwhile.
            with (
                _nothing_collected(),
                torch.cuda.graph(graph, pool=pool, stream=self._side, capture_error_mode="thread_local"),
            ):
                self._do(count)
        except RuntimeError as error:
            Graphed.has_failed = True
            first = _first(error, before)
            if is_out_of_memory(first):
                raise RunFailed(
                    "out of memory while the steps were captured as a CUDA graph; give trainer.cuda_graph=false, a "
                    "smaller trainer.batch_size, or for the runs of a sweep hydra.launcher.memory_gb"
                ) from error
            reason = str(first).partition("\n")[0]
            raise RunFailed(
                f"trainer.cuda_graph: this step cannot be captured ({reason}); give trainer.cuda_graph=false"
            ) from error
        # Before a capture torch 2.11 sets the place of the random numbers on the stream of the capture, before a replay
        # on the current one: without this wait, the first may come after the second where the GPU is shared.
        torch.cuda.current_stream(self._side.device).wait_stream(self._side)
        return graph


@functools.cache
def _stream_of_its_own(device: torch.device) -> torch.cuda.Stream:
    """For warming up and capturing; one for all runs of a process, since libraries keep a workspace for each stream."""
    return torch.cuda.Stream(device)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Within, the collector rests: a dead run's graph that it frees breaks the capture of another."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _first(error: BaseException, before: BaseException | None) -> BaseException:
    """Of errors that have each led to the next: leaving a capture that an operation has broken raises another. before:
    what was being handled already."""
    while error.__context__ is not None and error.__context__ is not before:
        error = error.__context__
    return error
