"""Every task on runs that a GPU has trained, and what `evaluate` says there beside what it says on the CPU."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aetrain
from aetrain.config.tables import ON_RUNS
from aetrain.errors import UserError

CASES = {
    "vae": ["model=vae", "model.latent_dim=2"],
    "beta_vae conv": ["model=beta_vae", "net=conv"],
    "cvae": ["model=cvae"],
    "iwae": ["model=iwae"],
    "dae": ["model=dae"],
    "sparse": ["model=sparse"],
    "contractive": ["model=contractive"],
    "ae residual": ["model=ae", "net=residual"],
}
# Relative: rounding, and the means over 2,000 images of draws, which the devices make each in its own way.
CLOSE, CLOSE_OF_FEW = 2e-3, 3e-2
FEW = ("test/accuracy_by_likelihood", "test/active_units")  # counts, in which an image or a dimension may tip over


def rows(device: list[str], dry: bool) -> Iterator[dict[str, Any]]:
    """device: overrides. A task that a model has no use for says so and counts as refused; any other exception is a
    fault and ends the step after its row."""
    faults = []
    for case, overrides in list(CASES.items())[: 1 if dry else None]:
        with tempfile.TemporaryDirectory() as folder:
            small = ["data.limit=2000", "trainer.epochs=2", "trainer.batch_size=100"]
            run = aetrain.train(aetrain.config(*overrides, *small, *device), Path(folder, "run")).folder
            found: dict[str, list[str]] = {"done": [], "refused": []}
            for task in ON_RUNS:
                try:
                    aetrain.do(task, run, *device, *(["codes=false"] if dry and task == "evaluate" else []))
                    found["done"].append(task)
                except UserError as error:
                    found["refused"].append(f"{task}: {error}")
                except Exception as error:  # all tasks are tried; the step fails below
                    faults.append(f"{case}: {task}: {type(error).__name__}: {error}")
            here = aetrain.do("evaluate", run, *device, "codes=false", "nll_samples=0").metrics
            host = aetrain.do("evaluate", run, "device=cpu", "codes=false", "nll_samples=0").metrics
        off_by = differences(here, host)
        far = {name: off for name, off in off_by.items() if off > (CLOSE_OF_FEW if name in FEW else CLOSE)}
        faults += [f"{case}: {name} differs by {off:.1e}" for name, off in far.items()]
        yield {"case": case, "contender": None, **found, "furthest": max(off_by.values())}
    yield {"case": "faults", "contender": None, "faults": faults}
    if faults:
        raise SystemExit("tasks fail")


def differences(one: Mapping[str, float | None], other: Mapping[str, float | None]) -> dict[str, float]:
    """Metric -> relative difference; infinite where only one has a number."""
    found = {}
    for name in one.keys() | other.keys():
        a, b = one.get(name), other.get(name)
        if a is None or b is None:
            found[name] = 0.0 if a is b else math.inf
        else:
            found[name] = abs(a - b) / max(abs(b), 1e-9)
    return found
