"""How fast a training step is, beside the loop that one would write by hand and beside its own matrix products.

    make bench                                          all cases, about ten minutes on two cores
    python -m benchmarks.speed --cases vae-128          one of them
    python -m benchmarks.speed --epochs 3               also the loss per epoch, ours against the textbook's
    python -m benchmarks.tables                         then put the numbers into docs/

Writes results/speed.json, from which the tables in docs/speed.md are made.

Every case runs in one process, its contenders in turns: the machine's drift then hits all of them alike, and a ratio
is the median over rounds of the ratio within a round. Nothing here asserts a time.

textbook   DataLoader over torchvision's MNIST with ToTensor, zero_grad, backward, torch.optim.Adam and .item() at every
           step, as in most tutorials. For vae the network and its loss are written out below; for the other models it
           is aetrain's network in that loop.
eager …    aetrain's step as training runs it: gather, normalise, forward, backward, gradient norm, latch, optimizer,
           meters. Also compiled (trainer.compile=true), in bf16, and on CUDA as a graph (trainer.cuda_graph=true).
jax        the default vae in JAX, all steps of a turn in one compiled loop (benchmarks/peers.py), where there is JAX.
floor …    the step's matrix products alone, recorded from one step and replayed on operands of the same shapes, strides
           and precision, and one pass of torch's fused Adam over as many parameters. What the hardware takes.
forward    the model's forward pass without gradients, and `evaluate` beside it: evaluation per image.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import torch

import aetrain
from aetrain import device, models
from aetrain.config.rules import total_steps
from aetrain.data.load import load
from aetrain.data.split import Split, Splits
from aetrain.evaluation.terms import evaluate
from aetrain.training.batches import Batches
from aetrain.training.compiled import make_compiled_step
from aetrain.training.meters import Meters
from aetrain.training.optimizer import build_optimizer
from aetrain.training.running import runner
from aetrain.training.schedules import Scheduler
from aetrain.training.step import Latch, make_step
from benchmarks import results
from benchmarks.floor import Floor
from benchmarks.textbook import Textbook, TextbookVAE

CASES = {
    "vae-128": ["model=vae"],
    "vae-1024": ["model=vae", "trainer.batch_size=1024"],
    "beta_vae": ["model=beta_vae"],
    "ae": ["model=ae"],
    "dae": ["model=dae"],
    "sparse": ["model=sparse"],
    "contractive": ["model=contractive"],
    "vae-conv": ["model=vae", "net=conv"],
}


@dataclass
class Contender:
    """Something that does optimizer steps: `run(n)` does n of them and waits for the device."""

    name: str
    run: Callable[[int], None]
    seconds: list[float] = field(default_factory=list)  # per step, one entry per round

    def measure(self, at_least: float) -> None:
        """One round: enough steps to last `at_least` seconds."""
        n = max(3, round(at_least / self.seconds[-1])) if self.seconds else 3
        start = time.perf_counter()
        self.run(n)
        self.seconds.append((time.perf_counter() - start) / n)


# --- aetrain


class Ours:
    """What the training loop does between two log points, without the writing."""

    def __init__(self, config, splits: Splits, where: torch.device):
        self.model = models.build(config.model, config.net, config.prior, splits.facts()).to(where)
        self.precision = device.Precision.of(config.device.precision, where)
        is_compiled = config.trainer.compile is True
        optimizer = build_optimizer(config.optimizer, self.model, traced=is_compiled)
        make = make_compiled_step if is_compiled else make_step
        step = make(self.model, optimizer, self.precision, None, Latch(where))
        self.batches = Batches(splits.train, config.trainer.batch_size, config.seed)
        self.meters, self.where, self.done = Meters(), where, 0
        schedule = Scheduler(config, self.model, optimizer, total_steps(config))
        self.run_steps = runner(config, step, self.batches, self.meters, schedule, where)

    def run(self, steps: int) -> dict[str, float]:
        """Their means."""
        device.allow_tf32(self.precision.name == "tf32")  # of the process, which has several of us
        end = self.done + steps
        while self.done < end:
            left = self.batches.per_epoch - self.done % self.batches.per_epoch
            self.done += self.run_steps(self.done, min(left, end - self.done))
        return self.meters.read("interval")  # waits for the device


# --- evaluation


class Forward:
    """The forward half of a training step, in inference."""

    def __init__(self, ours: Ours):
        self.ours = ours

    @torch.no_grad()
    def run(self, steps: int) -> None:
        for step in range(steps):
            with self.ours.precision.autocast():
                self.ours.model(*self.ours.batches.get(step))
        synchronize(self.ours.where)


class Evaluate:
    """`evaluate`, on as many images as there are in `steps` batches, at most 10,000 at a time."""

    def __init__(self, ours: Ours, config, split: Split):
        self.ours, self.config, self.split = ours, config, split

    def run(self, steps: int) -> None:
        wanted = steps * self.config.trainer.batch_size
        for done in range(0, wanted, len(self.split)):
            size, most = self.config.trainer.eval_batch_size, wanted - done
            evaluate(self.ours.model, self.split, size, 0, self.ours.precision, most)


# --- cases and tables


def synchronize(where: torch.device) -> None:
    if where.type == "cuda":
        torch.cuda.synchronize(where)


def contenders(overrides: list[str], compiled: bool) -> list[Contender]:
    """What takes turns in one case."""
    config = aetrain.config(*overrides)
    where = device.resolve(config.device)
    splits = load(config.data, where)

    def ours(*more: str) -> Ours:
        return Ours(aetrain.config(*overrides, *more), splits, where)

    fp32, bf16 = (ours("trainer.cuda_graph=false", f"device.precision={one}") for one in ("fp32", "bf16"))
    is_default = (config.model.name, config.net.name) == ("vae", "mlp")
    plain = TextbookVAE() if is_default else ours().model
    found = {
        "textbook": Textbook(plain, config.trainer.batch_size, where, torch.arange(len(splits.train))),
        "eager fp32": fp32,
        "eager bf16": bf16,
        "floor fp32": Floor(lambda: fp32.run(1), fp32.model),
        "floor bf16": Floor(lambda: bf16.run(1), bf16.model),
        "forward fp32": Forward(fp32),
        "evaluate fp32": Evaluate(fp32, config, splits.test),
    }
    if compiled:
        found["compiled fp32"] = ours("trainer.compile=true")
        found["compiled bf16"] = ours("trainer.compile=true", "device.precision=bf16")
    if where.type == "cpu" and find_spec("jax"):
        from benchmarks.peers import PROGRAMS, Jax

        if config.model.name in PROGRAMS and config.net.is_dense:
            found["jax fp32"] = Jax(config.model.name, splits.train, config.trainer.batch_size)
    if where.type == "cuda":
        found["graph fp32"] = ours("trainer.cuda_graph=true")
    return [Contender(name, one.run) for name, one in found.items()]


def race(runners: list[Contender], rounds: int, seconds: float) -> None:
    """All of them in turns, `rounds` times, after warming up (which compiles)."""
    for one in runners:
        for _ in range(2):
            one.measure(seconds / 10)
        del one.seconds[:-1]
    for _ in range(rounds):
        for one in runners:
            one.measure(seconds)
    for one in runners:
        del one.seconds[0]


def rows(case: str, runners: list[Contender], batch: int) -> list[dict]:
    """One row per contender; the ratios are medians of the ratios within each round."""
    by_name = {one.name: one.seconds for one in runners}

    def ratio(top: list[float], bottom: list[float]) -> float:
        return statistics.median(a / b for a, b in zip(top, bottom, strict=True))

    table = []
    for name, times in by_name.items():
        kind, _, precision = name.partition(" ")
        middle = statistics.median(times)
        row = {"case": case, "batch_size": batch, "contender": name, "images/s": batch / middle, "ms": 1e3 * middle}
        row |= {"min": 1e3 * min(times), "max": 1e3 * max(times)}
        if kind in ("eager", "compiled", "graph"):
            row["textbook/this"] = ratio(by_name["textbook"], times)
            row["this/floor"] = ratio(times, by_name[f"floor {precision}"])
            if "jax fp32" in by_name:
                row["this/jax"] = ratio(times, by_name["jax fp32"])
        if kind == "evaluate":
            row["this/forward"] = ratio(times, by_name[f"forward {precision}"])
        table.append(row)
    return table


def show(row: dict) -> str:
    ratios = "   ".join(
        f"{key} {row[key]:.2f}" for key in ("textbook/this", "this/floor", "this/jax", "this/forward") if key in row
    )
    return (
        f"{row['case']:<12} {row['contender']:<14} {row['images/s']:>11,.0f} img/s {row['ms']:>8.3f} ms "
        f"({row['min']:.3f} … {row['max']:.3f})   {ratios}"
    )


def losses_per_epoch(epochs: int) -> list[dict]:
    """The training loss per image of each epoch, in nats, of the textbook loop and of aetrain on the same images."""
    config = aetrain.config("model=vae", "data.val_size=0")
    where = device.resolve(config.device)
    splits = load(config.data, where)
    torch.manual_seed(config.seed)
    textbook = Textbook(TextbookVAE(), config.trainer.batch_size, where, torch.arange(len(splits.train)))
    ours, found = Ours(config, splits, where), []
    jax = None
    if find_spec("jax"):
        from benchmarks.peers import Jax

        jax = Jax("vae", splits.train, config.trainer.batch_size)
    steps = ours.batches.per_epoch
    for epoch in range(1, epochs + 1):
        textbook.total = 0.0
        textbook.run(steps)
        ours.run(steps)
        theirs, own = textbook.total / (steps * config.trainer.batch_size), ours.meters.read("epoch")["loss"]
        row = {"case": "loss per epoch", "epoch": epoch, "textbook": theirs, "aetrain": own}
        found.append(row | {"difference": own / theirs - 1} | ({"jax": jax.run(steps)} if jax else {}))
        print(f"epoch {epoch}: textbook {theirs:.3f}, aetrain {own:.3f} nats per image ({own / theirs - 1:+.2%})")
        if jax:
            print(f"         jax {found[-1]['jax']:.3f} ({found[-1]['jax'] / own - 1:+.2%} of aetrain's)")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Step times beside a textbook loop and beside the matrix products.")
    parser.add_argument("--cases", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--rounds", type=int, default=7, help="turns that every contender gets")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a turn")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile, which needs a C++ compiler")
    parser.add_argument("--epochs", type=int, default=0, help="compare the loss per epoch over so many epochs")
    parser.add_argument("--out", type=Path, default=results.FOLDER / "speed.json", help="default: %(default)s")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    where = results.environment(
        " ".join(["python -m benchmarks.speed", *sys.argv[1:]]),
        threads=torch.get_num_threads(),
        rounds=options.rounds,
        seconds=options.seconds,
        **({"device": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}),
    )
    print("  ".join(f"{key}: {value}" for key, value in where.items()))
    table: list[dict] = []
    for case in options.cases:
        runners = contenders(CASES[case], not options.no_compile)
        race(runners, options.rounds, options.seconds)
        found = rows(case, runners, aetrain.config(*CASES[case]).trainer.batch_size)
        print("\n".join(map(show, found)), flush=True)
        table += found
    table += losses_per_epoch(options.epochs)
    results.update(options.out, where, table, same=("case", "contender", "epoch"))


if __name__ == "__main__":
    main()
