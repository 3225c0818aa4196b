"""Published numbers beside reproduced ones, as the README's table.

    python benchmarks/reproduce.py                       the rows for a CPU, an hour and a half on one core
    python benchmarks/reproduce.py examples_vae pca_30   some rows
    python benchmarks/reproduce.py deep_ae device=cuda   on a GPU; further key=value go to aetrain

A run whose result.json is there already, below outputs/reproduce/, is not made again.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("outputs/reproduce")


@dataclass(frozen=True)
class Check:
    """One number: where result.json has it, what was published, and the interval that counts as reproduced."""

    metric: str
    published: str
    low: float
    high: float
    scale: float = 1.0
    offset: float = 0.0  # reproduced = offset + scale · metric


@dataclass(frozen=True)
class Row:
    checks: tuple[Check, ...]
    seeds: int = 1
    overrides: tuple[str, ...] = ()
    cpu: bool = True


INFINITY = float("inf")
ROWS: dict[str, Row] = {
    "linear_pca": Row(
        (
            Check("k2/excess_percent", "PCA's minimum", -INFINITY, 0.1),
            Check("k2/angle_degrees", "0", 0, 2),
            Check("k10/excess_percent", "PCA's minimum", -INFINITY, 0.1),
            Check("k10/angle_degrees", "0", 0, 2),
            Check("k30/captured_percent", "100", 99.9, INFINITY),
        ),
        seeds=3,
    ),
    "pca_30": Row((Check("k30/pca_test", "13.87", 13.85, 13.89),)),
    "linear_vae": Row((Check("k20/gap_nats", "0", -0.5, 0.5), Check("k20/elbo_error", "0", -1e-3, 1e-3)), seeds=3),
    "examples_vae": Row((Check("test/loss", "105.6", 105.2, 106.0),), seeds=3),
    "examples_vae_mean": Row((Check("test/loss", "96.5", 96.0, 97.0),), seeds=5),
    "sparse_ng": Row(
        (
            Check("softmax/test_error", "87.7", 85.7, 89.7, scale=-1, offset=100),
            Check("fine_tuned/test_error", "97.6", 97.1, 98.1, scale=-1, offset=100),
            Check("layer1/latent/mean_activation", "0.10", 0.09, 0.11),
            Check("layer2/latent/mean_activation", "0.10", 0.09, 0.11),
        ),
        seeds=2,
    ),
    "capacity": Row((Check("test/kl", "10", 9.5, 10.5),), seeds=3),
    "deep_ae": Row((Check("test/recon", "3.00", 0, 3.1),), cpu=False),
    "iwae_k1": Row((Check("test/nll", "86.76", 86.26, 87.76),), overrides=("model.k=1",), cpu=False),
    "iwae_k5": Row((Check("test/nll", "85.54", 85.04, 86.54),), overrides=("model.k=5",), cpu=False),
    "iwae_k50": Row((Check("test/nll", "84.78", 84.28, 85.28),), overrides=("model.k=50",), cpu=False),
    "static_vae": Row((Check("test/nll", "89.8", 89.4, 90.2),), cpu=False),
    "contractive": Row((Check("fine_tuned/test_error", "1.14", 0, INFINITY),), seeds=5, cpu=False),
    "contractive_0": Row(
        (Check("fine_tuned/test_error", "1.78", 0, INFINITY),),
        seeds=5,
        overrides=("model.contraction_weight=0",),
        cpu=False,
    ),
    "k_sparse_40": Row((Check("softmax/test_error", "1.54", 1.24, 1.84),), overrides=("model.k=40",), cpu=False),
    "k_sparse_25": Row((Check("softmax/test_error", "1.35", 1.05, 1.65),), overrides=("model.k=25",), cpu=False),
    "k_sparse_10": Row((Check("softmax/test_error", "2.10", 1.80, 2.40),), overrides=("model.k=10",), cpu=False),
}
EXPERIMENTS = ("k_sparse", "iwae", "contractive")  # those that stand in several rows


def run(name: str, seed: int, further: list[str]) -> dict:
    """The result.json of one run, made if it is not there."""
    experiment = next((e for e in EXPERIMENTS if name.startswith(e)), name)
    folder = FOLDER / f"{name}_{seed}"
    result = folder / "result.json"
    if not result.exists():
        command = ["aetrain", f"experiment={experiment}", f"seed={seed}", *ROWS[name].overrides, *further]
        subprocess.run([*command, f"hydra.run.dir={folder}"], check=True)
    return json.loads(result.read_text())


def lines(name: str, results: list[dict]) -> list[str]:
    """The table's lines of one row: a mean ± standard deviation over seeds for every check, and its verdict."""
    minutes = statistics.mean(result["seconds"] for result in results) / 60
    text = []
    for check in ROWS[name].checks:
        values = [check.offset + check.scale * result["metrics"][check.metric] for result in results]
        mean, spread = statistics.mean(values), f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
        verdict = "reproduced" if check.low <= mean <= check.high else "**missed**"
        bounds = f"{check.low:g} … {check.high:g}"
        text.append(
            f"| {name} | {check.metric} | {check.published} | {mean:.5g}{spread} (n = {len(values)}) | {bounds} "
            f"| {verdict} | {minutes:.1f} |"
        )
    return text


def main(argv: list[str]) -> None:
    further = [a for a in argv if "=" in a]
    names = [a for a in argv if "=" not in a] or [name for name, row in ROWS.items() if row.cpu]
    if unknown := set(names) - set(ROWS):
        sys.exit(f"no such row: {', '.join(sorted(unknown))}; choose from {', '.join(ROWS)}")
    print("| row | quantity | published | reproduced | tolerance | verdict | minutes per run |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in names:
        results = [run(name, seed, further) for seed in range(ROWS[name].seeds)]
        print("\n".join(lines(name, results)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
