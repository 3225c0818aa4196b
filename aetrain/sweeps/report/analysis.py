"""What runs say together: means over seeds, lines along a swept key, the Pareto front."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aetrain.sweeps.report.axes import Axis, find_axes, place, setting_label
from aetrain.sweeps.report.read import Member
from aetrain.sweeps.report.values import MISSING, Missing, Value

# In this order, before the other terms that the runs measured.
TERMS = ("loss", "recon", "kl", "nelbo", "nll", "bits_per_dim", "iwae", "sparsity", "contraction")
# What is said of the code, after them.
CODE = ("active_units", "mean_activation", "dead_units", "l0", "aggregate_kl", "total_correlation", "mig")
LEFT_OUT = {"train", "val", "test", "latent", "optimizer", "hparam", "speed"}  # but for the split that is shown
IN_NATS = {"kl", "nelbo", "nll", "iwae", "aggregate_kl", "total_correlation"}


@dataclass(frozen=True)
class Stat:
    """Over the seeds whose value is finite; std with n − 1, None for a single one."""

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True)
class Point:
    """The runs that differ in their seeds alone. values: one per axis."""

    values: tuple[Value | Missing, ...]
    members: tuple[Member, ...]
    stats: Mapping[str, Stat]  # of the runs that are done, one for each seed


@dataclass(frozen=True)
class Line:
    """Points along one axis, in its order, at fixed values of the others."""

    label: str
    others: tuple[tuple[str, Value | Missing], ...]
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Sweep:
    """Or any other set of runs. note: what a reader must know of the folder. explorer: see Found."""

    members: tuple[Member, ...]
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    split: str  # test, or val where nothing was tested
    metrics: tuple[str, ...]  # tags, the main ones, in order of interest
    is_sweep: bool = True
    note: str | None = None
    explorer: str | None = None

    def axis_index(self, axis: Axis) -> int:
        return self.axes.index(axis)

    def lines(self, axis: Axis) -> list[Line]:
        """All lines along an axis; only points with results, of runs that have the key."""
        index = self.axis_index(axis)
        found: dict[tuple, list[Point]] = {}
        for point in self.points:
            if point.stats and point.values[index] is not MISSING:
                found.setdefault(point.values[:index] + point.values[index + 1 :], []).append(point)
        keys = [a.key for a in self.axes if a != axis]
        lines = []
        for values, points in found.items():
            others = tuple(zip(keys, values, strict=True))
            label = ", ".join(setting_label(key, value) for key, value in others if value is not MISSING)
            lines.append(Line(label, others, tuple(points)))
        return lines

    def tag(self, name: str) -> str | None:
        """Of a quantity: the test split's where it was measured there, else the validation split's."""
        return next((tag for tag in (f"test/{name}", f"val/{name}") if tag in self.metrics), None)

    def unit(self, tag: str) -> str | None:
        """In which a metric is measured, where that is known."""
        name = tag.rpartition("/")[2]
        if name == "recon":
            likelihoods = {m.config.get("model.likelihood", "squared_error") for m in self.members if tag in m.metrics}
            units = {"squared pixel units" if likelihood == "squared_error" else "nats" for likelihood in likelihoods}
            return units.pop() if len(units) == 1 else None
        return "nats" if name in IN_NATS else "bits" if name == "bits_per_dim" else None

    def objective(self) -> str | None:
        """What runs are compared by: nelbo or recon, since losses at different weights are not comparable; in tasks
        that measure neither, the first of what they do."""
        wanted = (f"{self.split}/nelbo", f"{self.split}/recon", *self.metrics)
        return next((tag for tag in wanted if tag in self.metrics), None)


def analyse(members: Sequence[Member], is_sweep: bool = True, note: str | None = None,
            explorer: str | None = None) -> Sweep:  # fmt: skip
    """The sweep that these runs are."""
    axes = find_axes(members)
    measured = [m for m in members if m.status == "done"] or members
    tags = {tag for m in measured for tag in m.metrics}
    split = "test" if any(tag.startswith("test/") for tag in tags) else "val"
    code = [f"{s}/{name}" for name in CODE for s in ("test", "val") if _shows(measured, s, name)]
    known = [f"{split}/{term}" for term in TERMS] + code
    others = sorted(tag for tag in tags if tag not in known and tag.partition("/")[0] not in LEFT_OUT - {split})
    metrics = tuple(tag for tag in [*known, *others] if tag in tags)
    placed = [m for m in members if m.config or not axes]  # of the others it is not known where they belong
    return Sweep(tuple(members), axes, aggregate(placed, axes), split, metrics, is_sweep, note, explorer)


def _shows(members: Sequence[Member], split: str, name: str) -> bool:
    """Whether a column is worth having: the validation split's only where the test split's is not known."""
    return split == "test" or any(f"val/{name}" in m.metrics and f"test/{name}" not in m.metrics for m in members)


def aggregate(members: Sequence[Member], axes: Sequence[Axis]) -> tuple[Point, ...]:
    """One point per combination of values, in the order of the axes' values."""
    groups: dict[tuple, list[Member]] = {}
    for member in members:
        groups.setdefault(place(member, axes), []).append(member)

    def order(values: tuple) -> list[int]:
        return [axis.values.index(v) if v in axis.values else -1 for axis, v in zip(axes, values, strict=True)]

    return tuple(Point(v, tuple(groups[v]), stats(once_per_seed(groups[v]))) for v in sorted(groups, key=order))


def once_per_seed(members: Iterable[Member]) -> list[Member]:
    """The runs that are done; of several with one seed, which say the same again, the last."""
    done = [member for member in members if member.status == "done"]
    return list({i if member.seed is MISSING else (member.seed,): member for i, member in enumerate(done)}.values())


def stats(members: Iterable[Member]) -> dict[str, Stat]:
    """Mean, standard deviation and number of every metric over the runs that are done."""
    columns: dict[str, list[float]] = {}
    for member in members:
        if member.status == "done":
            for tag, value in member.metrics.items():
                if value is not None:
                    columns.setdefault(tag, []).append(value)
    return {
        tag: Stat(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))
        for tag, values in columns.items()
    }


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other is at most as large as in both coordinates and smaller in one."""

    def dominates(p: tuple[float, float], q: tuple[float, float]) -> bool:
        return p != q and p[0] <= q[0] and p[1] <= q[1]

    return [i for i, q in enumerate(points) if not any(dominates(p, q) for p in points)]
