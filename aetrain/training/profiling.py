"""Where the time of a training step goes, by torch's profiler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from aetrain.files import write_atomically

WARM_UP = 10  # steps that are not profiled: they allocate what later ones find
ROWS = 30  # operators in profile.txt


@contextmanager
def profiling(steps: int, folder: Path) -> Iterator[Any]:
    """Yields what is to be told of every step, by `step()`; None where steps is 0. Of so many steps after the first 10,
    profile.txt holds the operators that take longest, profile.json the trace."""
    if not steps:
        yield None
        return

    def write(profiler: torch.profiler.profile) -> None:
        rows = profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=ROWS, max_name_column_width=40)
        write_atomically(folder / "profile.txt", rows.encode())
        profiler.export_chrome_trace(str(folder / "profile.json"))

    schedule = torch.profiler.schedule(wait=WARM_UP - 1, warmup=1, active=steps, repeat=1)
    with torch.profiler.profile(schedule=schedule, on_trace_ready=write, acc_events=True) as profiler:
        yield profiler
