"""Plots of what each unit or pair of dimensions of a code does along a swept key."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from aetrain.sweeps.report.analysis import Point, Sweep
from aetrain.sweeps.report.axes import Axis
from aetrain.sweeps.report.canvas import INK, Plot, axes, plain, png
from aetrain.sweeps.report.values import is_number, show

MOST_MATRICES = 8
MOST_UNITS = 512  # that are drawn, of each run


def activations(sweep: Sweep, axis: Axis) -> list[Plot]:
    """ρ̂ of every unit against ρ: whether the mean is met because all units meet it. Of each value the run with the
    first seed; nothing where no run tells of its units."""
    found = [(rho, member.activation_per_unit) for rho, member in _first_of_each(sweep, axis)
             if is_number(rho) and member.activation_per_unit]  # fmt: skip
    if not found:
        return []
    figure, ax = axes(axis.key, "ρ̂ of each unit")
    for rho, units in found:
        step = max(1, len(units) // MOST_UNITS)
        shown = sorted(units)[::step]
        # Side by side within a small band about ρ, in order, so that a distribution is seen and not one line.
        spread = [0.9 + 0.2 * i / max(1, len(shown) - 1) for i in range(len(shown))]
        ax.plot([rho * s for s in spread], shown, ".", color="#1b5e9e", ms=2.5, alpha=0.6)
    rhos = [rho for rho, _ in found]
    ax.plot(rhos, rhos, "_", color="#c8553d", ms=22, mew=1.5, label="target ρ")
    if axis.is_log:
        ax.set_xscale("log")
    if min(min(units) for _, units in found) > 0 and axis.is_log:
        ax.set_yscale("log")
    ax.legend(frameon=False, fontsize=8.5, labelcolor=INK)
    caption = "Each point is a unit, in order of its mean activation ρ̂ on the test split; the bars are the targets ρ."
    return [Plot("activation_per_unit", png(figure), caption, f"mean activation of every unit against {axis.key}")]


def correlations(sweep: Sweep, axis: Axis) -> list[Plot]:
    """The correlation matrix of the posterior means at each value of a key, side by side."""
    found = [(value, member.correlation) for value, member in _first_of_each(sweep, axis) if member.correlation]
    found = found[:MOST_MATRICES]
    if not found:
        return []
    columns = min(4, len(found))
    rows = math.ceil(len(found) / columns)
    figure = Figure(
        figsize=(4.6, 0.5 + rows * (4.4 / columns + 0.25)), dpi=170, facecolor="white", layout="constrained"
    )
    plots = figure.subplots(rows, columns, squeeze=False).flatten()
    for ax, (value, matrix) in zip(plots, found, strict=False):
        drawn = ax.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        ax.set_title(plain(f"{axis.name} {show(value)}"), fontsize=8.5, color=INK)
        ax.set_xticks([])
        ax.set_yticks([])
    for ax in plots[len(found) :]:
        ax.set_axis_off()
    bar = figure.colorbar(drawn, ax=list(plots), shrink=0.7, ticks=[-1, 0, 1])
    bar.ax.tick_params(labelsize=8, colors=INK)
    figure.suptitle("correlation of the posterior means", fontsize=10.5, color=INK, x=0.02, ha="left")
    caption = (
        "Dimensions of the code by index, over the test split; red is 1, blue is −1. Those of a "
        "standard normal prior are independent; a dimension whose mean does not vary is white."
    )
    return [Plot("correlations", png(figure), caption, f"correlation matrices of the means for each {axis.key}")]


def _first_of_each(sweep: Sweep, axis: Axis):
    """(value, member) for each value of the key, on the line with most points, of the runs that are done."""
    lines = sweep.lines(axis)
    line = max(lines, key=lambda line: len(line.points), default=None)
    points: tuple[Point, ...] = line.points if line else ()
    index = sweep.axis_index(axis)
    for point in points:
        done = [member for member in point.members if member.status == "done"]
        if done:
            yield point.values[index], min(done, key=lambda member: (len(show(member.seed)), show(member.seed)))
