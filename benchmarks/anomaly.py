"""One digit of MNIST against the other nine: how well a model that has seen one alone tells them apart.

    python -m benchmarks.anomaly                       ten digits, three seeds: 15 minutes on two cores
    python -m benchmarks.anomaly --seeds 0 model=ae    further words are overrides
    python -m benchmarks.tables                        then put the numbers into docs/

Writes results/anomaly.json, from which the table in docs/applications.md is made.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import aetrain
from benchmarks import results

PROTOCOL = ["model=vae", "trainer.epochs=20", "data.val_size=0.1", "trainer.grid_epochs=20"]
DIGITS = "0123456789"
SCORES = ("recon", "elbo", "latent")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=lambda text: [int(s) for s in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=results.FOLDER / "anomaly.json", help="default: %(default)s")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    where = results.environment(" ".join(["python -m benchmarks.anomaly", *sys.argv[1:]]))
    words = [*PROTOCOL, *args.overrides]
    for digit in DIGITS:
        results.update(args.out, where, [row(digit, args.seeds, words)], same=("digit", "overrides"))


def row(digit: str, seeds: Sequence[int], words: Sequence[str]) -> dict[str, object]:
    """AUROC in percent, of every score and seed."""
    found: dict[str, list[float]] = {}
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            config = aetrain.config(*words, f"data.classes=[{digit}]", f"seed={seed}")
            run = aetrain.train(config, Path(folder, "run")).folder
            metrics = aetrain.anomaly(run, "shown=1", "nll_samples=1").metrics
            for score in SCORES:
                found.setdefault(score, []).append(round(100 * metrics[f"auroc_{score}"], 2))
    print(digit, found, flush=True)
    shares = {
        name: {"mean": round(statistics.mean(values), 2),
               "std": round(statistics.stdev(values), 2) if len(values) > 1 else None, "values": values}
        for name, values in found.items()
    }  # fmt: skip
    return {"digit": digit, "overrides": " ".join(words), "seeds": list(seeds), "auroc": shares}


if __name__ == "__main__":
    main()
