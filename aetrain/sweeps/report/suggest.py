"""Where to look next: values beside the point at which a curve bends most."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aetrain.sweeps.report.analysis import Line, Stat, Sweep
from aetrain.sweeps.report.axes import Axis
from aetrain.sweeps.report.values import MISSING, is_number, show
from aetrain.sweeps.report.words import common, folder_word, sweep_word, word


@dataclass(frozen=True)
class Suggestion:
    """Values to try next, and why. command: the whole line, with what the runs had in common; None where some of that
    cannot be written. It adds runs to the sweep."""

    key: str
    override: str
    reason: str
    command: str | None


def suggest(sweep: Sweep, axis: Axis, folder: Path) -> Suggestion | None:
    """Values of a numeric key to try where the curve bends most: of distortion against rate for beta, of the
    objective for the others. With several keys swept, on the line with the lowest objective. folder: the sweep's."""
    if not axis.is_numeric:
        return None
    index, goal = sweep.axis_index(axis), sweep.objective()
    rate, distortion = f"{sweep.split}/kl", f"{sweep.split}/recon"
    is_rate_distortion = axis.key == "model.beta" and rate in sweep.metrics and distortion in sweep.metrics
    candidates = []
    for line in sweep.lines(axis):
        wanted = (rate, distortion) if is_rate_distortion else (goal,)
        points = [p for p in line.points if goal and all(tag in p.stats for tag in wanted)]
        points = [p for p in points if is_number(p.values[index])]
        values = [p.values[index] for p in points]
        if is_rate_distortion:
            curve = [(p.stats[rate].mean, p.stats[distortion].mean) for p in points]
        else:
            xs = [math.log(v) if axis.is_log else v for v in values]
            curve = [(x, p.stats[goal].mean) for x, p in zip(xs, points, strict=True)]
        at = bend(curve)
        if at is not None and (new := between(values, at)):
            lowest = min((p.stats[goal].mean for p in points if goal in p.stats), default=math.inf)
            errors = [p.stats[wanted[-1]] for p in points]
            candidates.append((lowest, line, values[at], new, doubt(curve, errors, at)))
    if not candidates:
        return None
    _, line, value, new, doubts = min(candidates, key=lambda c: c[0])
    override = sweep_word(axis.key, new)
    if override is None:
        return None
    what = "distortion against rate" if is_rate_distortion else f"{goal} against {axis.key}"
    if axis.is_log and not is_rate_distortion:
        what += " (logarithmic)"
    where = f", at {line.label}" if line.label else ""
    return Suggestion(
        axis.key,
        override,
        f"The curve of {what}, both axes scaled to [0, 1]{where}, bends most at {axis.key} = {show(value)}: the values "
        f"proposed lie in the middle of the intervals on either side of it.{doubts}",
        _command(sweep, axis, line, override, folder),
    )


def _command(sweep: Sweep, axis: Axis, line: Line, override: str, folder: Path) -> str | None:
    """The line to paste into a shell; None if it would make other runs than those on the line."""
    members = [member for point in line.points for member in point.members]
    others = {key: value for key, value in line.others if value is not MISSING}
    shared = {key: value for key, value in common(members).items() if key not in others and key != axis.key}
    groups = {key: value for key, value in others.items() if "." not in key}
    words = [word(key, value) for key, value in [*(groups | shared | others).items()]] + [override]
    seeds = sorted({m.seed for m in members if isinstance(m.seed, int) and not isinstance(m.seed, bool)})
    if seeds:
        words.append(sweep_word("seed", seeds))
    if None in words:
        return None
    added = folder_word(folder) if sweep.is_sweep else None
    return shlex.join(["aetrain", "-m", *words, *[added] * (added is not None)])


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
