"""What a sweep's members say together: the keys swept, means over seeds, the Pareto front, where to look next."""

from __future__ import annotations

import math
import shlex
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aetrain.sweeps.report.read import Member, Scalar, number

# In this order, before the other terms that the members measured.
TERMS = ("loss", "recon", "kl", "nelbo", "nll", "bits_per_dim", "iwae", "sparsity", "contraction")
LEFT_OUT = {"train", "val", "test", "latent", "optimizer", "hparam", "speed"}  # but for the split that is shown
LATENT = ("active_units", "mean_activation", "dead_units", "l0", "aggregate_kl")


@dataclass(frozen=True)
class Axis:
    """A key that differs between members. Numbers ascend; other values stand in the members' order."""

    key: str
    values: tuple[Scalar, ...]

    @property
    def is_numeric(self) -> bool:
        return all(is_number(v) for v in self.values)

    @property
    def is_log(self) -> bool:
        """Whether a logarithmic scale suits the values: positive, over a factor of ten or more."""
        return self.is_numeric and min(self.values) > 0 and max(self.values) / min(self.values) >= 10


@dataclass(frozen=True)
class Stat:
    """Over the seeds whose value is finite; std with n − 1, None for a single one."""

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True)
class Point:
    """The members that differ in their seeds alone. values: one per axis."""

    values: tuple[Scalar, ...]
    members: tuple[Member, ...]
    stats: Mapping[str, Stat]  # of the members that are done


@dataclass(frozen=True)
class Line:
    """Points along one axis, in its order, at fixed values of the others."""

    label: str
    others: tuple[tuple[str, Scalar], ...]
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Suggestion:
    """Values to try next, and why. command: the whole line, with what the sweep had in common; it adds them to it."""

    key: str
    override: str
    reason: str
    command: str


@dataclass(frozen=True)
class Sweep:
    members: tuple[Member, ...]
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    split: str  # test, or val where nothing was tested
    metrics: tuple[str, ...]  # tags, the main ones, in order of interest

    def axis_index(self, axis: Axis) -> int:
        return self.axes.index(axis)

    def lines(self, axis: Axis) -> list[Line]:
        """All lines along an axis; only points with results."""
        index = self.axis_index(axis)
        found: dict[tuple, list[Point]] = {}
        for point in self.points:
            if point.stats:
                found.setdefault(point.values[:index] + point.values[index + 1 :], []).append(point)
        keys = [a.key for a in self.axes if a != axis]
        return [
            Line(", ".join(map(setting_label, keys, others)), tuple(zip(keys, others, strict=True)), tuple(points))
            for others, points in found.items()
        ]

    def objective(self) -> str | None:
        """What members are compared by: nelbo or recon, since losses at different weights do not compare; in tasks
        that measure neither, the first of what they do."""
        wanted = (f"{self.split}/nelbo", f"{self.split}/recon", *self.metrics)
        return next((tag for tag in wanted if tag in self.metrics), None)


def analyse(members: Sequence[Member]) -> Sweep:
    """The sweep that these members are."""
    axes = find_axes(members)
    done = [m for m in members if m.status == "done"]
    tags = {tag for m in done or members for tag in m.metrics}
    split = "test" if any(tag.startswith("test/") for tag in tags) else "val"
    known = [f"{split}/{term}" for term in TERMS] + [f"latent/{name}" for name in LATENT]
    others = sorted(tag for tag in tags if tag not in known and tag.partition("/")[0] not in LEFT_OUT - {split})
    metrics = tuple(tag for tag in [*known, *others] if tag in tags)
    return Sweep(tuple(members), axes, aggregate(members, axes), split, metrics)


def find_axes(members: Sequence[Member]) -> tuple[Axis, ...]:
    """The keys whose values differ between members, the seed apart."""
    keys = dict.fromkeys(key for m in members for key in m.overrides if key != "seed")
    axes = []
    for key in keys:
        values = list(dict.fromkeys(m.value(key) for m in members if m.value(key) is not None))
        if len(values) > 1:
            axes.append(Axis(key, tuple(sorted(values) if all(map(is_number, values)) else map(show, values))))
    return tuple(axes)


def place(member: Member, axes: Iterable[Axis]) -> tuple[Scalar, ...]:
    """A member's values on the axes."""
    found = []
    for axis in axes:
        value = member.value(axis.key)
        found.append(value if axis.is_numeric or value is None else show(value))
    return tuple(found)


def aggregate(members: Sequence[Member], axes: Sequence[Axis]) -> tuple[Point, ...]:
    """One point per combination of values, in the order of the axes' values."""
    groups: dict[tuple, list[Member]] = {}
    for member in members:
        groups.setdefault(place(member, axes), []).append(member)

    def order(values: tuple) -> list[int]:
        return [axis.values.index(v) if v in axis.values else -1 for axis, v in zip(axes, values, strict=True)]

    return tuple(Point(v, tuple(groups[v]), stats(groups[v])) for v in sorted(groups, key=order))


def stats(members: Iterable[Member]) -> dict[str, Stat]:
    """Mean, standard deviation and number of every metric over the members that are done."""
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


def menger(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Curvature of the circle through three points, 4 · area / product of the sides (Menger 1930); 0 where two
    coincide."""
    sides = math.dist(a, b) * math.dist(b, c) * math.dist(c, a)
    cross = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return 2 * abs(cross) / sides if sides > 0 else 0.0


def bend(points: Sequence[tuple[float, float]]) -> int | None:
    """Index of the interior point where a curve, both axes scaled to [0, 1], bends most. None for fewer than three
    points, a straight line, or one that is flat in a coordinate."""
    if len(points) < 3:
        return None
    scaled = []
    for column in zip(*points, strict=True):
        low, high = min(column), max(column)
        if not high > low:
            return None
        scaled.append([(v - low) / (high - low) for v in column])
    unit = list(zip(*scaled, strict=True))
    curvature = {i: menger(*unit[i - 1 : i + 2]) for i in range(1, len(unit) - 1)}
    best = max(curvature, key=curvature.__getitem__)
    return best if curvature[best] > 1e-6 else None


def between(values: Sequence[float], i: int) -> list[float]:
    """New values in the two intervals beside values[i]: geometric means of positive ends, midpoints of others, three
    significant digits, whole numbers where all values are."""
    found = []
    for low, high in ((values[i - 1], values[i]), (values[i], values[i + 1])):
        middle = math.sqrt(low * high) if low > 0 else (low + high) / 2
        whole = all(isinstance(v, int) for v in values)
        middle = round(middle) if whole else float(f"{middle:.3g}")
        if low < middle < high:
            found.append(middle)
    return found


def doubt(curve: Sequence[tuple[float, float]], stats: Sequence[Stat], i: int) -> str:
    """What to say of a bend that may be noise: its point's distance from the chord of its neighbours, along y, is less
    than two standard errors, or nothing is known of them. stats: of y."""
    (x0, y0), (x1, y1), (x2, y2) = curve[i - 1 : i + 2]
    if any(s.std is None for s in stats[i - 1 : i + 2]):
        return " With one seed, this may be noise."
    share = (x1 - x0) / (x2 - x0) if x2 != x0 else 0.5
    variances = [s.std**2 / s.n for s in stats[i - 1 : i + 2]]
    error = math.sqrt((1 - share) ** 2 * variances[0] + variances[1] + share**2 * variances[2])
    distance = abs(y1 - (1 - share) * y0 - share * y2)
    return "" if distance >= 2 * error else " The bend is smaller than two standard errors: more seeds first."


def suggest(sweep: Sweep, axis: Axis, folder: Path) -> Suggestion | None:
    """Values of a numeric key to try where the curve bends most: of distortion against rate for beta, of the
    objective for the others. With several keys swept, on the line with the lowest objective. folder: the sweep's, which
    the command adds them to."""
    if not axis.is_numeric:
        return None
    index, goal = sweep.axis_index(axis), sweep.objective()
    rate, distortion = f"{sweep.split}/kl", f"{sweep.split}/recon"
    is_rate_distortion = axis.key == "model.beta" and rate in sweep.metrics
    candidates = []
    for line in sweep.lines(axis):
        wanted = (rate, distortion) if is_rate_distortion else (goal,)
        points = [p for p in line.points if goal and all(tag in p.stats for tag in wanted)]
        values = [p.values[index] for p in points]
        if is_rate_distortion:
            curve = [(p.stats[rate].mean, p.stats[distortion].mean) for p in points]
        else:
            curve = [
                (math.log(v) if axis.is_log else v, p.stats[goal].mean) for v, p in zip(values, points, strict=True)
            ]
        at = bend(curve)
        if at is not None and (new := between(values, at)):
            lowest = min(p.stats[goal].mean for p in points if goal in p.stats)
            errors = [p.stats[wanted[-1]] for p in points]
            candidates.append((lowest, line, values[at], new, doubt(curve, errors, at)))
    if not candidates:
        return None
    _, line, value, new, doubts = min(candidates, key=lambda c: c[0])
    what = "distortion against rate" if is_rate_distortion else f"{goal} against {axis.key}"
    if axis.is_log and not is_rate_distortion:
        what += " (logarithmic)"
    where = f", at {line.label}" if line.label else ""
    override = f"{axis.key}={','.join(map(show, new))}"
    others = [f"{key}={show(value)}" for key, value in line.others]
    seeds = sorted({m.seed for p in line.points for m in p.members if isinstance(m.seed, int)})
    words = [o for o in common_overrides(sweep.members) if not o.startswith("seed=")]
    words += [*others, override, f"seed={','.join(map(str, seeds))}"] if seeds else [*others, override]
    return Suggestion(
        axis.key,
        override,
        f"The curve of {what}, both axes scaled to [0, 1]{where}, bends most at {axis.key} = {show(value)}: the values "
        f"proposed lie in the middle of the intervals on either side of it.{doubts}",
        shlex.join(["aetrain", "-m", *words, f"hydra.sweep.dir={folder}"]),
    )


def common_overrides(members: Sequence[Member]) -> list[str]:
    """The overrides that all members have, in the first one's order."""
    if not members:
        return []
    shared = set.intersection(*(set(m.overrides.items()) for m in members))
    return [f"{key}={value}" for key, value in members[0].overrides.items() if (key, value) in shared]


def is_number(value: Any) -> bool:
    return number(value) is not None


def show(value: Any) -> str:
    """A value as one would type it; a number in at most six significant digits."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def setting_label(key: str, value: Scalar) -> str:
    """`latent_dim 5` for model.latent_dim=5, `vae` for model=vae."""
    group, _, name = key.rpartition(".")
    return f"{name} {show(value)}" if group else show(value)
