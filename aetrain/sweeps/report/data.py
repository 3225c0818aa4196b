"""The report as data: report.json and report.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from aetrain.files import harmless
from aetrain.sweeps.report.analysis import Sweep, pareto
from aetrain.sweeps.report.read import Member
from aetrain.sweeps.report.suggest import Suggestion
from aetrain.sweeps.report.values import MISSING, Missing, Value, clean, show


def as_data(name: str, sweep: Sweep, suggestions: Sequence[Suggestion]) -> dict[str, Any]:
    """The report's content as strict JSON can hold it: what is not finite is null. A key that a run does not have is
    left out; null is a value."""
    keys = [axis.key for axis in sweep.axes]
    rate, distortion = f"{sweep.split}/kl", f"{sweep.split}/recon"
    both = [p for p in sweep.points if rate in p.stats and distortion in p.stats]
    front = pareto([(p.stats[rate].mean, p.stats[distortion].mean) for p in both]) if "model.beta" in keys else []
    return {
        "format": 2,
        "sweep": name,
        "split": sweep.split,
        "swept": {axis.key: [_plain(value) for value in axis.values] for axis in sweep.axes},
        "members": [_member(m, keys) for m in sweep.members],
        "aggregates": [
            {
                "values": _known(keys, p.values),
                "seeds": [_plain(m.seed) for m in p.members if m.status == "done"],
                "metrics": {tag: asdict(stat) for tag, stat in p.stats.items()},
            }
            for p in sweep.points
        ],
        "pareto": [_known(keys, both[i].values) for i in front],
        "suggestions": [asdict(s) for s in suggestions],
    }


def _member(m: Member, keys: Sequence[str]) -> dict[str, Any]:
    return {
        "member": m.name,
        "status": m.status,
        "reason": m.reason,
        "step": m.step,
        "seconds": m.seconds,
        "seed": _plain(m.seed),
        "values": _known(keys, map(m.value, keys)),
        "metrics": dict(m.metrics),
    }


def _known(keys: Sequence[str], values) -> dict[str, Any]:
    return {key: _plain(value) for key, value in zip(keys, values, strict=True) if value is not MISSING}


def _plain(value: Value | Missing) -> Any:
    return list(value) if isinstance(value, tuple) else None if isinstance(value, Missing) else value


def as_csv(sweep: Sweep) -> str:
    """One row per run: every metric that any of them has."""
    keys = [axis.key for axis in sweep.axes]
    tags = list(dict.fromkeys([*sweep.metrics, *sorted(tag for m in sweep.members for tag in m.metrics)]))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(map(harmless, ["member", "status", "reason", "seed", *keys, *tags, "step", "seconds"]))
    for m in sweep.members:
        values = [clean(m.name), m.status, m.reason, _cell(m.seed), *(_cell(m.value(key)) for key in keys)]
        values += [*(m.metrics.get(tag) for tag in tags), m.step, m.seconds]
        writer.writerow(map(harmless, values))
    return buffer.getvalue()


def _cell(value: Value | Missing) -> Any:
    if value is MISSING:
        return None
    return show(value) if value is None or isinstance(value, tuple | bool) else value
