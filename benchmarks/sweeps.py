"""How long a sweep takes in each way to run it, and how far its results are apart.

    python -m benchmarks.sweeps                                  the ways side by side, on one sweep of twelve members
    python -m benchmarks.sweeps --stacks 1,4,16,64 device=cuda   a stack of K members against a single run
    python -m benchmarks.tables                                  then put the numbers into docs/

Whole commands, from the start of Python to the report, in turns; further words are overrides. Writes
results/sweeps.json, from which the table in docs/sweeps.md is made.
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
from typing import Any

from benchmarks import results

SWEEP = ["model=beta_vae", "model.beta=0.5,1,2,4,8,16", "seed=0,1", "trainer.epochs=3"]
WAYS = ("sequential", "processes", "stack")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stacks", type=lambda text: [int(k) for k in text.split(",")], default=[])
    parser.add_argument("--out", type=Path, default=results.FOLDER / "sweeps.json", help="default: %(default)s")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    where = results.environment(" ".join(["python -m benchmarks.sweeps", *sys.argv[1:]]))
    with tempfile.TemporaryDirectory() as folder:
        if args.stacks:
            found = stacks(args.stacks, args.rounds, args.overrides, Path(folder))
        else:
            found = ways(args.rounds, args.overrides, Path(folder))
    results.update(args.out, where, found, same=("mode", "members", "overrides"))


def ways(rounds: int, overrides: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    """A row for each way: its seconds, beside those of one after another."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for n in range(rounds):
        for way in WAYS:
            words = ["-m", *SWEEP, *overrides, f"hydra.launcher.mode={way}", f"hydra.sweep.dir={folder}/{way}{n}"]
            seconds[way].append(timed(words))
    first, found = losses(folder / "sequential0"), []
    for way in WAYS:
        other = losses(folder / f"{way}0")
        apart = max(abs(other[name] / first[name] - 1) for name in first)
        faster = ratio(seconds["sequential"], seconds[way])
        more = {"speedup": faster, "largest_difference": None if way == "sequential" else apart}
        found.append(row(way, len(first), [*SWEEP, *overrides], seconds[way], more))
    return found


def stacks(sizes: Sequence[int], rounds: int, overrides: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    """A row for each size of a stack: its seconds, beside those of the first size."""
    seconds: dict[int, list[float]] = {k: [] for k in sizes}
    for n in range(rounds):
        for k in sizes:
            betas = ",".join(f"{0.25 * 64 ** (i / max(1, k - 1)):.4f}" for i in range(k))  # 0.25 … 16
            words = ["model=beta_vae", f"model.beta={betas}", *overrides, f"hydra.sweep.dir={folder}/{k}_{n}"]
            seconds[k].append(timed(["-m", *words, "hydra.launcher.mode=stack"]))
    words = ["model=beta_vae", "model.beta=0.25…16", *overrides]
    return [
        row("one stack", k, words, seconds[k], {"times_first": ratio(seconds[k], seconds[sizes[0]])}) for k in sizes
    ]


def row(mode: str, members: int, words: list[str], seconds: list[float], more: dict[str, Any]) -> dict[str, Any]:
    """One row of results/sweeps.json, said aloud too."""
    middle, least, most = statistics.median(seconds), min(seconds), max(seconds)
    print(f"{mode}, {members} members: {middle:.0f} ({least:.0f} – {most:.0f}) s  {more}", flush=True)
    times = {"rounds": len(seconds), "median": middle, "min": least, "max": most}
    return {"mode": mode, "members": members, "overrides": " ".join(words), **times, **more}


def ratio(top: Sequence[float], bottom: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(top, bottom, strict=True))


def timed(words: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "aetrain", *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def losses(sweep: Path) -> dict[str, float]:
    """The test loss of every member, by its folder's name."""
    files = sweep.glob("*/result.json")
    return {path.parent.name: json.loads(path.read_text())["metrics"]["test/loss"] for path in files}


if __name__ == "__main__":
    main()
