"""Folders of runs as runs leave them, without the runs."""

from __future__ import annotations

import copy
import csv
import functools
import io
import json
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from PIL import Image

from aetrain.sweeps.report import rebuild
from tests.conftest import compose

GROUPS = ("model", "net", "data", "optimizer", "device", "task")


def sweep_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "multirun.yaml").write_text("hydra: {}\n")
    return folder


@functools.cache
def _composed(options: tuple[str, ...]) -> dict:
    return asdict(compose(*options))


def config(*words: str) -> dict:
    """A resolved configuration: options of groups, then values set on the tree, whatever they are."""
    options = [w for w in words if w.partition("=")[0] in GROUPS and w.partition("=")[2].isidentifier()]
    tree = copy.deepcopy(_composed(tuple(options)))
    for word in words:
        key, _, value = word.partition("=")
        if word not in options:
            *path, leaf = key.split(".") if key not in GROUPS else (key, "name")
            node = tree
            for part in path:
                node = node.setdefault(part, {})
            node[leaf] = yaml.safe_load(value) if key not in GROUPS else value
    return tree


def member(sweep: Path, name: str, words: list[str], metrics: dict | None = None, **result) -> Path:
    """A run that is done, unless `result` says otherwise."""
    folder = sweep / name
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config(*words), sort_keys=False))
    content = {"status": "done", "step": 10, "metrics": metrics or {}, "overrides": words, "seconds": 1.5, **result}
    (folder / "result.json").write_text(json.dumps(content))
    return folder


def plan(sweep: Path, members: dict[str, dict]) -> None:
    """sweep.json, as the launcher writes it. members: folder -> resolved configuration."""
    found = [{"folder": name, "config": tree, "overrides": ["model.beta=1"]} for name, tree in members.items()]
    (sweep / "sweep.json").write_text(json.dumps({"format": 1, "members": found}))


def grid(folder: Path, what: str, rows: int, columns: int, epoch: int = 1) -> None:
    """Tiles of 28 pixels, two apart, whose grey says row and column: 16 · row + column."""
    image = Image.new("RGB", (2 + 30 * columns, 2 + 30 * rows), (128, 128, 128))
    for r in range(rows):
        for c in range(columns):
            image.paste((16 * r + c,) * 3, (2 + 30 * c, 2 + 30 * r, 30 + 30 * c, 30 + 30 * r))
    (folder / "grids").mkdir(exist_ok=True)
    image.save(folder / "grids" / f"{what}_{epoch:04d}.png")


def beta_sweep(folder: Path, curve: dict[float, tuple[float, float]], seeds: dict[int, float]) -> Path:
    """curve: beta -> (test/kl, test/recon); seeds: seed -> what it adds to test/recon."""
    sweep, number = sweep_folder(folder), 0
    for beta, (kl, recon) in curve.items():
        for seed, shift in seeds.items():
            overrides = ["model=beta_vae", f"model.beta={float(beta)}", f"seed={seed}", "trainer.epochs=3"]
            metrics = {"test/kl": kl, "test/recon": recon + shift, "test/nelbo": kl + recon + shift,
                       "test/active_units": 20 - number}  # fmt: skip
            latent = {"kl_per_dimension": [0.1, 0.2, 3.0, 0.0]}
            made = member(sweep, f"{number}_model.beta={beta},seed={seed}", overrides, metrics, latent=latent)
            grid(made, "reconstructions", 8, 8)
            grid(made, "traversals", 4, 11)
            number += 1
    return sweep


def report(sweep: Path) -> dict:
    """report.json, made anew; strict JSON."""
    rebuild(sweep)
    return json.loads((sweep / "report.json").read_text(), parse_constant=pytest.fail)


def table(sweep: Path) -> list[dict[str, str]]:
    """The rows of report.csv."""
    return list(csv.DictReader(io.StringIO((sweep / "report.csv").read_text())))
