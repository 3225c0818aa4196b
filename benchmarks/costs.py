"""What a run costs beside the arithmetic of its steps.

    python -m benchmarks.costs                     all of it, about ten minutes on two cores
    python -m benchmarks.costs --only start host   some of it
    python -m benchmarks.tables                    then put the numbers into docs/

Writes results/costs.json, from which the table in docs/speed.md is made. Whole commands, but for the step.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

import aetrain
from aetrain.data.load import load
from benchmarks import results
from benchmarks.speed import Ours

AETRAIN = [sys.executable, "-m", "aetrain"]
STEPS = 150  # of the run that is started
MEMBERS = 200  # of the sweep that is composed
STACKED = 64  # members of the host's stack
EPOCHS = (5, 15)  # between whose ends its time is taken, multiples of trainer.grid_epochs
TINY = ["data=digits", "net.hidden=[8]", "model.latent_dim=2", "hydra.launcher.mode=stack"]

WHAT = {  # of each cost: what it is, in which unit, and the target
    "import": ("`import torch`", "s", None),
    "start": ("from the command to the end of the first step, beyond that", "s", 2),
    "memory": (f"peak memory of {STEPS} steps with validation, test and grids", "GiB", None),
    "sweep": (f"a sweep of {MEMBERS} betas until it is composed, checked and written down", "s", 10),
    "step": ("a step on one image with two hidden units", "ms", None),
    "host": (f"a member of a stack of {STACKED} tiny models, per epoch", "ms", 5),
}
Found = Iterator[tuple[str, float]]  # a cost's name and value


def start(folder: Path) -> Found:
    """From the command to the end of the first step, and what `import torch` takes of that."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    torch_takes = time.perf_counter() - began
    began = time.time()
    run = [*AETRAIN, f"trainer.max_steps={STEPS}", "trainer.log_every=1", f"hydra.run.dir={folder}"]
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(run)}: failed")
    yield "import", torch_takes
    yield "start", _first_step(folder) - began - torch_takes
    yield "memory", usage.ru_maxrss / 2**20


def _first_step(folder: Path) -> float:
    """When the first step was logged, in seconds since the epoch."""
    return _times(folder, "train/loss")[0]


def _times(folder: Path, tag: str) -> list[float]:
    """When each value of a curve was logged, in seconds since the epoch."""
    (file,) = folder.glob("events.out.tfevents.*")
    events = EventFileLoader(str(file)).Load()
    return [e.wall_time for e in events if any(value.tag == tag for value in e.summary.value)]


def sweep(folder: Path) -> Found:
    """From the command until all members of a sweep are composed, checked and written down."""
    began = time.perf_counter()
    command = [*AETRAIN, "-m", *betas(MEMBERS), "hydra.launcher.mode=sequential", f"hydra.sweep.dir={folder}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / "sweep.json").exists():  # it is written at once, when the last has been checked
        if process.poll() is not None:
            sys.exit(f"{' '.join(command)}: failed")
        time.sleep(0.01)
    took = time.perf_counter() - began
    process.send_signal(signal.SIGTERM)
    process.wait()
    yield "sweep", took


def step(_folder: Path) -> Found:
    """What of a step does not depend on sizes."""
    config = aetrain.config("net.hidden=[2]", "trainer.batch_size=1", "device=cpu")
    ours = Ours(config, load(config.data, torch.device("cpu")), torch.device("cpu"))
    ours.run(100)
    began = time.perf_counter()
    ours.run(1000)
    yield "step", time.perf_counter() - began


def host(folder: Path) -> Found:
    """What a member of a stack costs per epoch where steps take next to nothing: logs, checkpoints, and pictures in
    every fifth epoch."""
    first, last = EPOCHS
    words = [*betas(STACKED), *TINY, f"trainer.epochs={last + 1}", f"hydra.sweep.dir={folder}"]
    subprocess.run([*AETRAIN, "-m", *words], check=True, stdout=subprocess.DEVNULL)
    # The first validation comes before the first epoch; all members log an epoch's before the next begins.
    ends = [_times(member, "val/loss") for member in folder.iterdir() if (member / "result.json").exists()]
    assert len(ends) == STACKED
    took = min(times[last + 1] for times in ends) - min(times[first + 1] for times in ends)
    yield "host", 1e3 * took / (STACKED * (last - first))


def betas(k: int) -> list[str]:
    """So many, from 0.25 to 16."""
    return ["model=beta_vae", f"model.beta={','.join(f'{0.25 * 64 ** (i / (k - 1)):.4f}' for i in range(k))}"]


MEASURE: dict[str, Callable[[Path], Found]] = {"start": start, "sweep": sweep, "step": step, "host": host}


def row(cost: str, found: list[float]) -> dict[str, Any]:
    what, unit, target = WHAT[cost]
    times = {"rounds": len(found), "median": statistics.median(found), "min": min(found), "max": max(found)}
    return {"case": cost, "what": what, "unit": unit, "target": target, **times}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=list(MEASURE), default=list(MEASURE))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=results.FOLDER / "costs.json", help="default: %(default)s")
    options = parser.parse_args()
    where = results.environment(" ".join(["python -m benchmarks.costs", *sys.argv[1:]]))
    values: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for n in range(options.rounds):
            for name in options.only:
                for cost, value in MEASURE[name](Path(folder) / f"{name}{n}"):
                    values.setdefault(cost, []).append(value)
                    print(f"{cost}: {value:.3f} {WHAT[cost][1]}", flush=True)
    rows = [row(cost, found) for cost, found in values.items()]
    results.update(options.out, where, rows, same=("case",))


if __name__ == "__main__":
    main()
