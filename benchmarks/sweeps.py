"""How long a sweep takes in each way to run it, and how far its results are apart.

    python -m benchmarks.sweeps                                  the ways side by side, on the README's sweep
    python -m benchmarks.sweeps --stacks 1,4,16,64 device=cuda   a stack of K members against a single run

Whole commands, from the start of Python to the report, in turns; further words are overrides. Prints markdown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

SWEEP = ["model=beta_vae", "model.beta=0.5,1,2,4,8,16", "seed=0,1", "trainer.epochs=3"]
WAYS = ("sequential", "processes", "stack")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stacks", type=lambda text: [int(k) for k in text.split(",")], default=[])
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.stacks:
            stacks(args.stacks, args.rounds, args.overrides, Path(folder))
        else:
            ways(args.rounds, args.overrides, Path(folder))


def ways(rounds: int, overrides: Sequence[str], folder: Path) -> None:
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for n in range(rounds):
        for way in WAYS:
            words = ["-m", *SWEEP, *overrides, f"hydra.launcher.mode={way}", f"hydra.sweep.dir={folder}/{way}{n}"]
            seconds[way].append(timed(words))
    first = losses(folder / "sequential0")
    print(f"`aetrain -m {' '.join([*SWEEP, *overrides])}`: {len(first)} members, {rounds} round(s)\n")
    print("| way | seconds: median (min – max) | × faster than one after another | largest difference in test loss |")
    print("| --- | --- | --- | --- |")
    for way in WAYS:
        ratio = statistics.median(a / b for a, b in zip(seconds["sequential"], seconds[way], strict=True))
        other = losses(folder / f"{way}0")
        apart = max(abs(other[name] / first[name] - 1) for name in first)
        print(f"| {way} | {spread(seconds[way])} | {ratio:.2f} | {100 * apart:.4f} % |")


def stacks(sizes: Sequence[int], rounds: int, overrides: Sequence[str], folder: Path) -> None:
    seconds: dict[int, list[float]] = {k: [] for k in sizes}
    for n in range(rounds):
        for k in sizes:
            betas = ",".join(f"{0.25 * 64 ** (i / max(1, k - 1)):.4f}" for i in range(k))  # 0.25 … 16
            words = ["model=beta_vae", f"model.beta={betas}", *overrides, f"hydra.sweep.dir={folder}/{k}_{n}"]
            seconds[k].append(timed(["-m", *words, "hydra.launcher.mode=stack"]))
    print("| members | seconds: median (min – max) | ÷ the first row |")
    print("| --- | --- | --- |")
    for k in sizes:
        ratio = statistics.median(a / b for a, b in zip(seconds[k], seconds[sizes[0]], strict=True))
        print(f"| {k} | {spread(seconds[k])} | {ratio:.2f} |")


def timed(words: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "aetrain", *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def losses(sweep: Path) -> dict[str, float]:
    """The test loss of every member, by its folder's name."""
    files = sweep.glob("*/result.json")
    return {path.parent.name: json.loads(path.read_text())["metrics"]["test/loss"] for path in files}


def spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.0f} ({min(seconds):.0f} – {max(seconds):.0f})"


if __name__ == "__main__":
    main()
