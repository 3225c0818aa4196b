"""β-TCVAE against β-VAE: the mutual information gap (MIG) at equal reconstruction, on data=shapes.

    python -m benchmarks.disentangling device=cuda     36 runs, a minute or two on one GPU
    python -m benchmarks.tables                        then put the numbers into docs/

The protocol is conf/experiment/disentangling.yaml and what stands below, fixed before the first run. A larger β costs
reconstruction in both models, so that equal β is no comparison: for each seed and each β of β-VAE, the MIG of β-TCVAE
is interpolated, linearly in test/recon, between the two of its runs whose reconstructions lie around β-VAE's; where
none do, that seed is left out. Reported are all of them; the one that counts is β-VAE's β = 4.

Runs that are done, below outputs/disentangling, are not made again. Further key=value go to aetrain. Writes
results/disentangling.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from benchmarks import results

MODELS = ("beta_vae", "beta_tcvae")
BETAS = (1, 2, 3, 4, 6, 8)
SEEDS = (0, 1, 2)
METRICS = ("recon", "kl", "total_correlation", "mig")


class Run(NamedTuple):
    model: str
    beta: float
    seed: int
    metrics: Mapping[str, float]  # of METRICS, on the test split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("outputs/disentangling"), help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=results.FOLDER / "disentangling.json", help="default: %(default)s")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    where = results.environment(" ".join(["python -m benchmarks.disentangling", *sys.argv[1:]]))
    if args.folder.exists():
        where = results.joined([results.remembered([args.folder]), where])
    results.remember(args.folder, where)
    swept = [
        f"model={','.join(MODELS)}",
        f"model.beta={','.join(map(str, BETAS))}",
        f"seed={','.join(map(str, SEEDS))}",
    ]
    words = ["-m", "experiment=disentangling", *swept, *args.overrides, f"hydra.sweep.dir={args.folder}"]
    subprocess.run([sys.executable, "-m", "aetrain", *words], check=True)
    runs = read(args.folder)
    found = rows(runs)
    results.update(args.out, where, found, same=("model", "beta"))
    for row in found:
        print(row, flush=True)


def read(folder: Path) -> list[Run]:
    """The protocol's runs in a sweep's folder."""
    runs = []
    for path in sorted(folder.glob("*/result.json")):
        config = yaml.safe_load((path.parent / "config.yaml").read_text(encoding="utf-8"))
        key = config["model"]["name"], config["model"].get("beta"), config["seed"]
        if key in itertools.product(MODELS, BETAS, SEEDS) and results.is_done(path.parent):
            measured = json.loads(path.read_text(encoding="utf-8"))["metrics"]
            runs.append(Run(*key, {name: measured[f"test/{name}"] for name in METRICS}))
    if len({run[:3] for run in runs}) < len(runs):
        sys.exit(f"{folder}: holds two runs of the same model, β and seed; remove one, or give another --folder")
    return runs


def rows(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """A row for each model and β: means and standard deviations over seeds; for β-VAE the gain, see `gains`."""
    found = []
    for model in MODELS:
        for beta in sorted({run.beta for run in runs if run.model == model}):
            here = sorted((r for r in runs if (r.model, r.beta) == (model, beta)), key=lambda run: run.seed)
            row: dict[str, Any] = {"model": model, "beta": beta, "seeds": [run.seed for run in here]}
            row |= {name: summary([run.metrics[name] for run in here]) for name in METRICS}
            if model == "beta_vae":
                row["gain"] = summary(gains(here, [run for run in runs if run.model == "beta_tcvae"]))
            found.append(row)
    return found


def gains(ours: Sequence[Run], theirs: Sequence[Run]) -> list[float]:
    """For each run of ours, by how much the MIG of those of theirs with its seed is higher at its reconstruction; only
    where two of them have it between them."""
    found = []
    for run in ours:
        curve = [(other.metrics["recon"], other.metrics["mig"]) for other in theirs if other.seed == run.seed]
        at = interpolated(sorted(curve), run.metrics["recon"])
        if at is not None:
            found.append(at - run.metrics["mig"])
    return found


def interpolated(curve: Sequence[tuple[float, float]], x: float) -> float | None:
    """The value at x of the line through points in the order of x; None outside."""
    for (x0, y0), (x1, y1) in itertools.pairwise(curve):
        if x0 <= x <= x1:
            return y0 if x0 == x1 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return None


def summary(values: Sequence[float]) -> dict[str, Any] | None:
    if not values:
        return None
    std = round(statistics.stdev(values), 4) if len(values) > 1 else None
    return {"mean": round(statistics.mean(values), 4), "std": std, "values": [round(value, 4) for value in values]}


if __name__ == "__main__":
    main()
