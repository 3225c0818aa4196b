"""Published numbers beside reproduced ones: writes results/reproduction.json, from which docs/reproduction.md is made.

    python -m benchmarks.reproduce                       the rows for a CPU, an hour and a half on one core
    python -m benchmarks.reproduce examples_vae pca_30   some rows
    python -m benchmarks.reproduce deep_ae device=cuda   on a GPU; further key=value go to aetrain
    python -m benchmarks.tables                          then put the numbers into docs/

A run whose result.json is there already, below outputs/reproduce/, is not made again; <run>.json beside its folder says
where it was made.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import results

FOLDER = Path("outputs/reproduce")
OUT = results.FOLDER / "reproduction.json"


@dataclass(frozen=True)
class Check:
    """One number: where result.json has it, what was published, and the interval that counts as reproduced."""

    metric: str
    quantity: str
    published: str
    tolerance: str
    low: float
    high: float
    unit: str = "nats"
    scale: float = 1.0
    offset: float = 0.0  # reproduced = offset + scale · metric
    exact: bool = False  # no noise in it: one seed is enough


@dataclass(frozen=True)
class Row:
    checks: tuple[Check, ...]
    experiment: str = ""  # where it is not the row's name
    seeds: int = 1
    overrides: tuple[str, ...] = ()
    cpu: bool = True
    evaluate: tuple[str, ...] | None = None  # keys of `aetrain evaluate`, whose metrics these are; None: the run's own


INFINITY = float("inf")
ACCURACY = {"unit": "%", "scale": -1, "offset": 100}  # of a test error in percent


def nll(published: float, tolerance: str, low: float, high: float, samples: int = 5000) -> tuple[Check]:
    return (Check("test/nll", f"NLL from {samples:,} samples", f"{published}", tolerance, low, high),)


def test_error(metric: str, quantity: str, published: str, tolerance: str, low: float, high: float) -> tuple[Check]:
    return (Check(metric, quantity, published, tolerance, low, high, unit="%"),)


def k_sparse(k: int, published: float) -> Row:
    quantity, low, high = f"test error of softmax on the code, k = {k}", published - 0.3, published + 0.3
    checks = test_error("softmax/test_error", quantity, f"{published:.2f} %", "± 0.3", low, high)
    return Row(checks, experiment="k_sparse", overrides=(f"model.k={k}",), cpu=False)


FINE_TUNED = "test error, fine-tuned"
ROWS: dict[str, Row] = {
    "linear_pca": Row(
        (
            Check("k2/excess_percent", "training error over PCA's minimum, k = 2", "0 %", "0.1 %", -INFINITY, 0.1, "%"),
            Check("k2/angle_degrees", "largest principal angle, k = 2", "0°", "2°", 0, 2, "°"),
            Check(
                "k10/excess_percent", "training error over PCA's minimum, k = 10", "0 %", "0.1 %", -INFINITY, 0.1, "%"
            ),
            Check("k10/angle_degrees", "largest principal angle, k = 10", "0°", "2°", 0, 2, "°"),
            Check(
                "k30/captured_percent",
                "share of PCA's captured variance, k = 30",
                "100 %",
                "≥ 99.9 %",
                99.9,
                INFINITY,
                "%",
            ),
            Check("k30/angle_degrees", "largest principal angle, k = 30", "0°", "", -INFINITY, INFINITY, "°"),
        ),
        seeds=3,
    ),
    "pca_30": Row(
        (
            Check(
                "k30/pca_test",
                "squared error per test image (Hinton & Salakhutdinov 2006)",
                "13.87",
                "± 0.02",
                13.85,
                13.89,
                "",
                exact=True,
            ),
        )
    ),
    "linear_vae": Row(
        (
            Check(
                "k20/elbo_error",
                "ELBO − log-likelihood at the closed form, float64",
                "0",
                "1e-3",
                -1e-3,
                1e-3,
                exact=True,
            ),
            Check("k20/gap_nats", "log-likelihood of probabilistic PCA − ELBO, trained, k = 20", "0", "0.5", -0.5, 0.5),
        ),
        seeds=3,
    ),
    "examples_vae": Row((Check("test/loss", "test loss, z sampled", "105.6", "± 0.4", 105.2, 106.0),), seeds=3),
    "examples_vae_mean": Row(
        (Check("test/loss", "test loss, decoding the mean", "96.5", "± 0.5", 96.0, 97.0),), seeds=5
    ),
    "sparse_ng": Row(
        (
            Check("softmax/test_error", "test accuracy, softmax on the code", "87.7 %", "± 2", 85.7, 89.7, **ACCURACY),
            Check("fine_tuned/test_error", "test accuracy, fine-tuned", "97.6 %", "± 0.5", 97.1, 98.1, **ACCURACY),
            Check("layer1/test/mean_activation", "mean activation, layer 1", "0.10", "± 0.01", 0.09, 0.11, ""),
            Check("layer2/test/mean_activation", "mean activation, layer 2", "0.10", "± 0.01", 0.09, 0.11, ""),
        ),
        seeds=2,
    ),
    "capacity": Row(
        (Check("test/kl", "mean KL at the end, C = 10, γ = 100, on the test split", "10", "± 0.5", 9.5, 10.5),), seeds=3
    ),
    "conditional": Row(
        tuple(
            Check(f"test/{metric}", quantity, "–", "≥ 95 %", 95, INFINITY, "%", scale=100)
            for metric, quantity in (
                ("sample_accuracy", "samples that 5 nearest neighbours take for the class drawn"),
                ("accuracy_by_likelihood", "test images whose own class is the likeliest"),
            )
        ),
        evaluate=("nll_samples=0", "codes=false"),
    ),
    "deep_ae": Row((Check("test/recon", "squared error per test image", "3.00", "≤ 3.1", 0, 3.1, ""),), cpu=False),
    "iwae_k1": Row(nll(86.76, "+1.0 / −0.5", 86.26, 87.76), "iwae", overrides=("model.k=1",), cpu=False),
    "iwae_k5": Row(nll(85.54, "+1.0 / −0.5", 85.04, 86.54), "iwae", overrides=("model.k=5",), cpu=False),
    "iwae_k50": Row(nll(84.78, "± 0.5", 84.28, 85.28), "iwae", overrides=("model.k=50",), cpu=False),
    "static_vae": Row(nll(89.8, "± 0.4", 89.4, 90.2, samples=200), cpu=False),
    "vamp_vae": Row(nll(85.57, "± 0.5", 85.07, 86.07), cpu=False),
    "contractive": Row(
        test_error("fine_tuned/test_error", FINE_TUNED, "1.14 %", "below the next row's, 5 pairs", -INFINITY, INFINITY),
        seeds=5,
        cpu=False,
    ),
    "contractive_0": Row(
        test_error("fine_tuned/test_error", FINE_TUNED, "1.78 %", "", -INFINITY, INFINITY),
        "contractive",
        seeds=5,
        overrides=("model.contraction_weight=0",),
        cpu=False,
    ),
    "k_sparse_40": k_sparse(40, 1.54),
    "k_sparse_25": k_sparse(25, 1.35),
    "k_sparse_10": k_sparse(10, 2.10),
}


def run(name: str, folder: Path, seed: int, further: list[str]) -> dict:
    """The result.json of one run, made if it is not there."""
    row, result = ROWS[name], folder / "result.json"
    if not result.exists():
        words = [f"experiment={row.experiment or name}", *row.overrides, *further]
        results.remember(folder, results.environment(" ".join(["aetrain", *words])))
        subprocess.run([sys.executable, "-m", "aetrain", *words, f"seed={seed}", f"hydra.run.dir={folder}"], check=True)
    found = json.loads(result.read_text())
    if row.evaluate is not None:
        found["metrics"] |= evaluated(folder, row.evaluate, further)
    return found


def evaluated(folder: Path, keys: Sequence[str], further: list[str]) -> dict[str, float]:
    """Metrics of `aetrain evaluate`, made if they are not there."""
    result = folder / "evaluate_1" / "evaluate.json"
    if not result.exists():
        device = [word for word in further if word.startswith("device")]
        words = ["evaluate", f"run={folder}", *keys, *device]
        subprocess.run([sys.executable, "-m", "aetrain", *words], check=True)
    return json.loads(result.read_text())["metrics"]


def rows(name: str, found: list[dict]) -> list[dict[str, Any]]:
    """What goes into the file for one row: each check's mean and standard deviation over seeds, and its verdict.
    found: result.json of each seed; none where the row has not been run."""
    row = ROWS[name]
    minutes = round(statistics.mean(result["seconds"] for result in found) / 60, 1) if found else None
    return [
        {
            "name": name,
            "experiment": " ".join([row.experiment or name, *row.overrides]),
            "metric": check.metric,
            "quantity": check.quantity,
            "unit": check.unit,
            "published": check.published,
            "tolerance": check.tolerance,
            "low": finite(check.low),
            "high": finite(check.high),
            "exact": check.exact,
            **measured(check, [check.offset + check.scale * result["metrics"][check.metric] for result in found]),
            "minutes": minutes,
        }
        for check in row.checks
    ]


def measured(check: Check, values: list[float]) -> dict[str, Any]:
    if not values:
        return {"seeds": [], "values": None, "mean": None, "std": None, "verdict": "not yet run"}
    values = values[:1] if check.exact else values
    mean = statistics.mean(values)
    return {
        "seeds": list(range(len(values))),
        "values": values,
        "mean": mean,
        "std": statistics.stdev(values) if len(values) > 1 else None,
        "verdict": verdict(mean, finite(check.low), finite(check.high)),
    }


def verdict(mean: float, low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return "reported"
    inside = (low is None or low <= mean) and (high is None or mean <= high)
    return "reproduced" if inside else "missed"


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT, help="the file whose rows are replaced (default: %(default)s)")
    parser.add_argument("words", nargs="*", metavar="row or key=value")
    options = parser.parse_args(argv)
    further = [word for word in options.words if "=" in word]
    names = [word for word in options.words if "=" not in word] or [name for name, row in ROWS.items() if row.cpu]
    if unknown := set(names) - set(ROWS):
        sys.exit(f"no such row: {', '.join(sorted(unknown))}; choose from {', '.join(ROWS)}")
    for name in names:
        folders = [FOLDER / f"{name}_{seed}" for seed in range(ROWS[name].seeds)]
        found = rows(name, [run(name, folder, seed, further) for seed, folder in enumerate(folders)])
        results.update(options.out, results.remembered(folders), found, same=("name", "metric"))
        for row in found:
            print(f"{row['experiment']}: {row['quantity']} {row['mean']:.5g}, {row['verdict']}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
