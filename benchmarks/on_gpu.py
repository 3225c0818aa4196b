"""The steps of benchmarks/gpu.py: `python -m benchmarks.on_gpu <step>` prints a row of JSON for everything it finds.

A row has a case, a contender (or null) and its numbers. A step raises where something is wrong, after its rows.
"""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import aetrain
from aetrain import device, models
from aetrain.config.tables import MODELS
from aetrain.data.load import load
from aetrain.training.batches import Batches
from aetrain.training.meters import Meters
from aetrain.training.optimizer import Fused
from aetrain.training.running import Graphed, Runner, eager
from aetrain.training.schedules import Scheduler
from aetrain.training.stacking import make_stacked_step
from aetrain.training.step import Latch
from benchmarks import gpu_tasks, reproduce, speed

Rows = Iterator[dict[str, Any]]
PUBLISHED = ("static_vae", "deep_ae", "iwae_k1", "iwae_k5")  # of the rows for a GPU, those that take minutes
BETAS = 32


def words(dry: bool) -> list[str]:
    """Overrides of every run."""
    small = ["data.limit=300", "trainer.batch_size=50", "net.hidden=[16]"]
    return ["device=cpu", *small] if dry else ["device=cuda"]


def command(*line: str) -> list[str]:
    return [sys.executable, "-m", "aetrain", *line]


# --- the steps


def tests(dry: bool) -> Rows:
    """Those that need a GPU; all are skipped without one."""
    if importlib.util.find_spec("pytest") is None:
        raise SystemExit("pytest is not installed: pip install pytest hypothesis")
    where = ["tests/training/test_running.py"] if dry else []
    if importlib.util.find_spec("xdist") and not dry:
        where += ["-n", "4"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "cuda", "-p", "no:cacheprovider", "-p", "no:benchmark", *where],
        capture_output=True,
        text=True,
        check=False,
    )
    print(ran.stdout[-4000:], file=sys.stderr)
    counts = {what: int(n) for n, what in re.findall(r"(\d+) (passed|failed|skipped|error)", ran.stdout[-400:])}
    failures = re.findall(r"^(?:FAILED|ERROR) (\S+)", ran.stdout, re.MULTILINE)
    yield {"case": "pytest -m cuda", "contender": None, **counts, "failures": failures}
    if ran.returncode not in (0, 5):
        raise SystemExit("tests fail")


def equal(dry: bool) -> Rows:
    """Graph against eager: the largest relative difference between the losses of the same 24 steps."""
    cases = [[f"model={model}"] for model in sorted(MODELS)] + [
        ["model=vae", "net=conv"],
        ["model=sparse", "model.k=25", "model.penalty=topk"],
    ]
    worst = 0.0
    for case in cases[:2] if dry else cases:
        for precision in ("fp32", "bf16") if dry else ("fp32", "tf32", "bf16", "fp16"):
            overrides = [*words(dry), *case, f"device.precision={precision}"]
            one, other = losses(overrides, graphed=False), losses(overrides, graphed=not dry)
            difference = float(((one - other).abs() / one.abs()).max())
            worst = max(worst, difference / (1e-4 if precision == "fp32" else 1e-2))
            yield {"case": " ".join([*case, precision]), "contender": "graph", "difference": difference}
    if worst > 1:
        raise SystemExit("graph and eager differ")


def losses(overrides: list[str], graphed: bool, steps: int = 24) -> torch.Tensor:
    """(steps,)"""
    config = aetrain.config(*overrides, f"trainer.cuda_graph={str(graphed).lower()}")
    where = device.resolve(config.device)
    torch.manual_seed(config.seed)
    ours = speed.Ours(config, load(config.data, where), where)
    torch.manual_seed(config.seed)
    return torch.tensor([ours.run(1)["loss"] for _ in range(steps)])


def speed_(dry: bool) -> Rows:
    """Milliseconds per step at batch 128 and 1024, and the share of the time in which the GPU is busy."""
    for case in ("vae-128", "vae-1024", "vae-conv", "contractive"):
        overrides = [*speed.CASES[case], *words(dry)]
        config = aetrain.config(*overrides)
        where = device.resolve(config.device)
        splits = load(config.data, where)
        kinds = {"eager": ["trainer.cuda_graph=false"]}
        if not dry:
            kinds |= {"graph": [], "compiled graph": ["trainer.compile=true"]}
        contenders = {
            f"{kind} {precision}": [*more, f"device.precision={precision}"]
            for kind, more in kinds.items()
            for precision in (("fp32", "bf16") if dry else ("fp32", "tf32", "bf16", "fp16"))
            if (kind, precision) != ("compiled graph", "fp16")  # which is refused
        }
        runners = {
            name: speed.Ours(aetrain.config(*overrides, *more), splits, where) for name, more in contenders.items()
        }
        raced = [speed.Contender(name, one.run) for name, one in runners.items()]
        if case.startswith("vae-1") and importlib.util.find_spec("torchvision"):
            index = torch.arange(len(splits.train))
            textbook = speed.Textbook(speed.TextbookVAE(), config.trainer.batch_size, where, index)
            raced.append(speed.Contender("textbook", textbook.run))
        speed.race(raced, rounds=1 if dry else 5, seconds=0.02 if dry else 0.2)
        for one in raced:
            middle = sorted(one.seconds)[len(one.seconds) // 2]
            busy = busy_share(runners[one.name]) if one.name in runners and where.type == "cuda" else None
            yield {
                "case": case,
                "contender": one.name,
                "ms": 1e3 * middle,
                "images/s": config.trainer.batch_size / middle,
                "busy": busy,
            }
        if dry:
            return


def busy_share(ours: speed.Ours, steps: int = 100) -> float:
    """Of the time of so many steps, that in which kernels run."""
    from torch.profiler import ProfilerActivity, profile

    ours.run(3)
    began = time.perf_counter()
    ours.run(steps)
    elapsed = time.perf_counter() - began
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        ours.run(steps)
    kernels = sum(event.self_device_time_total for event in profiled.key_averages())  # µs
    return kernels / 1e6 / elapsed


def runs(dry: bool) -> Rows:
    """Whole commands: ten epochs of MNIST, eager and as a graph, and the seconds that training takes of them."""
    more = ["trainer.epochs=1"] if dry else []
    for contender, flag in (("graph", "true"), ("eager", "false")):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder, "run")
            began = time.monotonic()
            subprocess.run(
                command(*words(dry), *more, f"trainer.cuda_graph={flag}", f"hydra.run.dir={run}"),
                check=True,
                stdout=sys.stderr,
            )
            elapsed, result = time.monotonic() - began, json.loads((run / "result.json").read_text())
            rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
            speeds = [row["speed/images_per_second"] for row in rows if "speed/images_per_second" in row]
            yield {
                "case": "make train",
                "contender": contender,
                "seconds": elapsed,
                "seconds in the run": result["seconds"],
                "images/s": sorted(speeds)[len(speeds) // 2] if speeds else None,
                "test/loss": result["metrics"]["test/loss"],
            }


def stacks(dry: bool) -> Rows:
    """A stack's step for K members, against K times one; and a sweep of 32 betas against one run."""
    config = aetrain.config(*words(dry), "model=beta_vae")
    where = device.resolve(config.device)
    splits = load(config.data, where)
    model = models.build(config.model, config.net, config.prior, splits.facts()).to(where)
    batches = Batches(splits.train, config.trainer.batch_size, 0)
    one = None
    for k in (1, 2) if dry else (1, 4, 16, 64, 128):
        params = {n: p.detach().expand(k, *p.shape).clone().requires_grad_() for n, p in model.named_parameters()}
        buffers = {n: b.expand(k, *b.shape).clone() for n, b in model.named_buffers()}
        precision = device.Precision.of("fp32", where)
        for contender in ("eager",) if dry else ("eager", "graph"):
            lr = torch.tensor(1e-3, device=where) if where.type == "cuda" else 1e-3
            optimizer = Fused(config.optimizer, {"params": list(params.values()), "lr": lr})
            step = make_stacked_step(model, params, buffers, optimizer, precision, None, Latch(where, members=k))
            parts = (step, batches, Meters(), Scheduler(config, model, optimizer, 1))
            run = Graphed(*parts, where) if contender == "graph" else eager(*parts)
            ms = 1e3 * timed(run, 3 if dry else 200, where)
            one = one or ms
            peak = torch.cuda.max_memory_allocated(where) / 2**20 if where.type == "cuda" else None
            yield {"case": f"K = {k}", "contender": contender, "ms": ms, "K × one / this": k * one / ms, "MiB": peak}
    yield from sweep_of_betas(dry)


def timed(run: Runner, steps: int, where: torch.device) -> float:
    """Seconds per step."""

    def steps_from(first: int, end: int) -> None:
        while first < end:
            first += run(first, end - first)

    steps_from(0, 20)
    speed.synchronize(where)
    began = time.perf_counter()
    steps_from(20, 20 + steps)
    speed.synchronize(where)
    return (time.perf_counter() - began) / steps


def sweep_of_betas(dry: bool) -> Rows:
    count = 2 if dry else BETAS
    more = ["model=beta_vae", "trainer.epochs=1" if dry else "trainer.epochs=5", "trainer.grid_epochs=100"]
    line = [*words(dry), *more]
    with tempfile.TemporaryDirectory() as folder:
        seconds = []
        betas = ",".join(f"{0.25 * (i + 1):g}" for i in range(count))
        for way in (
            [f"hydra.run.dir={folder}/one"],
            ["-m", f"model.beta={betas}", f"hydra.sweep.dir={folder}/sweep", "hydra.launcher.mode=stack"],
        ):
            began = time.monotonic()
            subprocess.run(command(*line, *way), check=True, stdout=sys.stderr)
            seconds.append(time.monotonic() - began)
    yield {
        "case": f"{count} betas",
        "contender": "stack",
        "seconds": seconds[1],
        "this / one run": seconds[1] / seconds[0],
    }


def resume(dry: bool) -> Rows:
    """A run that is killed and resumed with device.deterministic=true ends with the weights of one that is not."""
    line = [*words(dry), "trainer.epochs=4", "trainer.checkpoint_minutes=1e-9"]
    line += [] if dry else ["data.limit=3000"]  # a checkpoint at every step takes its time
    line += [] if dry else ["device.deterministic=true"]
    with tempfile.TemporaryDirectory() as folder:
        reference, run = Path(folder, "reference"), Path(folder, "run")
        subprocess.run(command(*line, f"hydra.run.dir={reference}"), check=True, stdout=sys.stderr)
        process = subprocess.Popen(command(*line, f"hydra.run.dir={run}"), stdout=sys.stderr)
        while process.poll() is None and not reached(run, epoch=2):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        was_killed = not (run / "result.json").exists()
        subprocess.run(command(f"resume={run}"), check=True, stdout=sys.stderr)
        one, other = (
            torch.load(path / "checkpoints" / "last.pt", map_location="cpu", weights_only=True)["model"]
            for path in (reference, run)
        )
    differing = [name for name in one if not torch.equal(one[name], other[name])]
    yield {"case": "SIGKILL in the second epoch", "contender": "resumed", "killed": was_killed, "differing": differing}
    if differing:
        raise SystemExit("a resumed run differs")


def reached(run: Path, epoch: int) -> bool:
    try:
        lines = (run / "metrics.jsonl").read_text().splitlines()
        return any(json.loads(line)["epoch"] >= epoch - 0.5 for line in lines[-2:])
    except (OSError, ValueError):  # not there yet, or the last line is half written
        return False


def published(dry: bool) -> Rows:
    """Rows of the reproduction table that take minutes on a GPU."""
    for name in PUBLISHED[:0] if dry else PUBLISHED:
        reproduce.main([name, "device=cuda"])
        row = next(row for row in json.loads(reproduce.OUT.read_text())["rows"] if row["name"] == name)
        yield {
            "case": name,
            "contender": None,
            "mean": row["mean"],
            "published": row["published"],
            "verdict": row["verdict"],
        }


ALL = {
    "tests": tests,
    "equal": equal,
    "speed": speed_,
    "runs": runs,
    "stacks": stacks,
    "resume": resume,
    "tasks": lambda dry: gpu_tasks.rows(words(dry)[:1], dry),
    "published": published,
}


if __name__ == "__main__":
    for row in ALL[sys.argv[1]]("--dry" in sys.argv):
        print(json.dumps(row, allow_nan=False), flush=True)
