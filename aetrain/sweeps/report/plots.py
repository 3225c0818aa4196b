"""The report's plots, as PNG. matplotlib without pyplot: no global state, no window.

Dark text on white; the page turns the colours over where the reader's screen is dark.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from itertools import pairwise

from matplotlib import colormaps
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from aetrain.sweeps.report.analysis import Line, Stat, Sweep, pareto
from aetrain.sweeps.report.axes import Axis
from aetrain.sweeps.report.canvas import INK, SHORT, Plot, axes, plain, png
from aetrain.sweeps.report.per_dimension import activations, correlations
from aetrain.sweeps.report.suggest import bend
from aetrain.sweeps.report.values import is_number, show

COLOURS = ("#1b5e9e", "#c8553d", "#2f8f6b", "#8a5aa8", "#b8860b", "#5b6770", "#d17b9b", "#4aa3b8")
MOST_LABELS = 12  # entries of a legend
MOST_POINTS = 24  # that are labelled, of one plot
MOST_METRICS = 6  # that are drawn against a key of no special kind


def key_plots(sweep: Sweep, axis: Axis) -> list[Plot]:
    """The plots that suit a swept key."""
    tags = [tag for tag in sweep.metrics if any(tag in p.stats for p in sweep.points)]
    rate, distortion = f"{sweep.split}/kl", f"{sweep.split}/recon"
    activation = sweep.tag("mean_activation")
    plots = []
    with warnings.catch_warnings():
        # Of numbers whose range a float can hardly tell apart, or of a name in a script that the font lacks.
        warnings.simplefilter("ignore")
        if axis.key == "model.beta" and rate in tags and distortion in tags:
            plots.append(rate_distortion(sweep, axis, rate, distortion))
            tags = [tag for tag in tags if tag in (rate, sweep.tag("active_units"))]
            plots += correlations(sweep, axis)
        elif axis.key == "model.rho" and axis.is_numeric and activation in tags:
            plots.append(against(sweep, axis, activation, identity=True))
            plots += activations(sweep, axis)
            tags = [tag for tag in tags if tag in (sweep.tag("dead_units"), distortion)]
        independence = [tag for name in ("total_correlation", "mig") if (tag := sweep.tag(name))]
        drawn = dict.fromkeys([*tags[:MOST_METRICS], *independence])
        return plots + [against(sweep, axis, tag) for tag in drawn]


def rate_distortion(sweep: Sweep, axis: Axis, rate: str, distortion: str) -> Plot:
    """Reconstruction against KL, both in nats: what a beta buys with the bits it spends."""
    figure, ax = axes(f"{rate} · rate, nats", f"{distortion} · distortion, nats")
    lines = [
        (line, [p for p in line.points if rate in p.stats and distortion in p.stats]) for line in sweep.lines(axis)
    ]
    everything = [p for _, points in lines for p in points]
    front = {id(everything[i]) for i in pareto([(p.stats[rate].mean, p.stats[distortion].mean) for p in everything])}
    index = sweep.axis_index(axis)
    alone = _are_alone([line for line, _ in lines])
    colours = _colours(1 if alone else len(lines), len(lines))
    for number, ((line, points), colour) in enumerate(zip(lines, colours, strict=True)):
        # Labels of neighbouring lines on opposite sides.
        offset, side = [((8, 5), "left"), ((-8, -11), "right")][number % 2]
        xs, ys = [p.stats[rate] for p in points], [p.stats[distortion] for p in points]
        _errors(ax, [s.mean for s in xs], ys, colour, xs)
        ax.plot([s.mean for s in xs], [s.mean for s in ys], "-", color=colour, lw=1.4,
                label=None if alone else line.label or None)  # fmt: skip
        at = bend([(x.mean, y.mean) for x, y in zip(xs, ys, strict=True)])
        for i, point in enumerate(points):
            x, y, on_front = xs[i].mean, ys[i].mean, id(point) in front
            ax.plot(x, y, "o", ms=6.5, color=colour, mfc=colour if on_front else "white", mew=1.4, zorder=3)
            if i == at:
                ax.plot(x, y, "o", ms=13, color=colour, mfc="none", mew=1)
            if len(everything) <= MOST_POINTS:
                text = f"β {show(point.values[index])}"
                ax.annotate(text, (x, y), offset, textcoords="offset points", ha=side, fontsize=8.5, color=INK)
    ax.margins(0.14)
    _legend(ax)
    caption = (
        "Each point is one β, its bars one standard deviation over seeds. Filled points are on the Pareto front: no "
        "other has both a lower rate and a lower distortion. The ring marks where a curve bends most."
    )
    return Plot("rate_distortion", png(figure), caption, f"{distortion} against {rate} for every value of {axis.key}")


def against(sweep: Sweep, axis: Axis, tag: str, identity: bool = False) -> Plot:
    """One metric against a swept key: a line per setting of the other keys for numbers, points for other values. null
    among numbers has no place on their scale: it is a level across it."""
    unit = sweep.unit(tag)
    figure, ax = axes(axis.key, tag + (f", {unit}" if unit else ""))
    index, lines = sweep.axis_index(axis), sweep.lines(axis)
    drawn = [s.mean for line in lines for p in line.points if (s := p.stats.get(tag))]
    has_level, alone = False, _are_alone(lines)
    for i, (line, colour) in enumerate(zip(lines, _colours(1 if alone else len(lines), len(lines)), strict=True)):
        label = None if alone else line.label or None
        measured = [p for p in line.points if tag in p.stats]
        points = [p for p in measured if not axis.is_numeric or is_number(p.values[index])]
        for point in measured:
            if axis.is_numeric and point.values[index] is None:
                _level(ax, point.stats[tag], colour)
                has_level = True
        if not points:
            continue
        values, stats = [p.values[index] for p in points], [p.stats[tag] for p in points]
        shift = 0 if len(lines) == 1 or alone else 0.24 * (2 * i / (len(lines) - 1) - 1)
        xs = values if axis.is_numeric else [axis.values.index(v) + shift for v in values]
        _errors(ax, xs, stats, colour)
        style = "o-" if axis.is_numeric and not alone else "o"
        means = [s.mean for s in stats]
        ax.plot(xs, means, style, color=colour, lw=1.4, ms=6, mec="white", mew=0.8, label=label)
    if identity:
        ax.plot(axis.numbers, axis.numbers, "--", color="#8b9098", lw=1, zorder=1, label="target ρ")
    if axis.is_log:
        ax.set_xscale("log")
    elif axis.linear_below:
        ax.set_xscale("symlog", linthresh=axis.linear_below)
    if identity:
        ax.set_yscale("log" if axis.is_log and min(drawn, default=0) > 0 else "linear")
        _tick_values(ax.yaxis, axis)
    elif drawn and min(drawn) > 0 and max(drawn) / min(drawn) >= 100:
        ax.set_yscale("log")
    if tag.endswith(("/active_units", "/dead_units")):
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        if drawn:
            ax.set_ylim(-0.06 * max(1, *drawn), 1.12 * max(1, *drawn))
    _ticks(ax, axis)
    lost = _lost(sweep, axis)
    _mark(ax, axis, lost)
    _legend(ax)
    caption = ["The dashed line is the target mean activation ρ."] * identity
    caption += [f"The dotted line is {axis.key}=null, which has no place on the scale."] * has_level
    caption += ["× marks values at which no run got done."] * any(not _is_off_scale(axis, v) for v in lost)
    caption += [f"No run with {axis.key}=null got done."] * any(_is_off_scale(axis, v) for v in lost)
    name = _file_name(f"{axis.key}-{tag}".replace("/", "."))
    return Plot(name, png(figure), " ".join(caption), f"{tag} against {axis.key}")


def _are_alone(lines: Sequence[Line]) -> bool:
    """Whether most lines would be single points, as in a search that draws all keys at random: they are drawn as a
    cloud, without a legend."""
    return len(lines) > 3 and sum(len(line.points) for line in lines) < 2 * len(lines)


def _level(ax, stat: Stat, colour) -> None:
    ax.axhline(stat.mean, ls=":", lw=1.4, color=colour, zorder=1)
    if stat.std:
        ax.axhspan(stat.mean - stat.std, stat.mean + stat.std, color=colour, alpha=0.08, lw=0, zorder=0)


def _errors(ax, xs: Sequence[float], ys: Sequence[Stat], colour: str, x_stats: Sequence[Stat] | None = None) -> None:
    """Bars of one standard deviation, where there are several seeds."""
    y_err = [s.std or 0 for s in ys]
    x_err = [s.std or 0 for s in x_stats] if x_stats else None
    if any(y_err) or any(x_err or ()):
        means = [s.mean for s in ys]
        ax.errorbar(xs, means, yerr=y_err, xerr=x_err, fmt="none", ecolor=colour, alpha=0.55, elinewidth=1.2, capsize=3)


def _lost(sweep: Sweep, axis: Axis) -> list:
    """The values at which runs failed and none got done."""
    index = sweep.axis_index(axis)
    done = {p.values[index] for p in sweep.points if p.stats}
    failed = {p.values[index] for p in sweep.points if any(m.status == "failed" for m in p.members)}
    return [v for v in axis.values if v in failed - done]


def _is_off_scale(axis: Axis, value: object) -> bool:
    return axis.is_numeric and value is None


def _mark(ax, axis: Axis, lost: Sequence) -> None:
    """A × at the bottom for every one of these values."""
    shown = [v for v in lost if not _is_off_scale(axis, v)]
    xs = shown if axis.is_numeric else [axis.values.index(v) for v in shown]
    ax.plot(xs, [0.03] * len(xs), "x", color="#b3401f", ms=7, mew=1.8, transform=ax.get_xaxis_transform())


def _ticks(ax, axis: Axis) -> None:
    """The swept values themselves as ticks, where they have room."""
    if not axis.is_numeric:
        words = [show(v) for v in axis.values]
        short = [plain(word if len(word) <= 16 else f"{word[:15]}…") for word in words]
        slanted = sum(map(len, short)) > 40
        if slanted:
            ax.set_position((0.14, 0.3, 0.83, 0.59))
        alignment = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
        ax.set_xticks(range(len(short)), short, **alignment)
        ax.set_xlim(-0.5, len(short) - 0.5)
    elif _have_room(axis):
        _tick_values(ax.xaxis, axis)


def _tick_values(ticked, axis: Axis) -> None:
    ticked.set_major_locator(FixedLocator(axis.numbers))
    ticked.set_minor_locator(NullLocator())
    ticked.set_major_formatter(SHORT)


def _have_room(axis: Axis) -> bool:
    """Whether the values lie far enough apart to be written side by side."""
    if axis.linear_below is not None:
        return len(axis.numbers) <= 6
    places = [math.log(v) if axis.is_log else v for v in axis.numbers]
    return min(b - a for a, b in pairwise(places)) > 0.12 * (places[-1] - places[0])


def _legend(ax) -> None:
    """Below the axes, where it hides nothing: the figure grows by it."""
    handles, labels = ax.get_legend_handles_labels()
    if not labels:
        return
    if (more := len(labels) - MOST_LABELS + 1) > 1:
        handles, labels = handles[:MOST_LABELS], [*labels[: MOST_LABELS - 1], f"… and {more} more"]
    labels = [plain(label) for label in labels]
    columns = max(1, min(3, 75 // (8 + max(map(len, labels)))))  # some 75 letters fit side by side
    figure, (left, bottom, width, height) = ax.figure, ax.get_position().bounds
    before = figure.get_figheight()
    after = before + 0.2 * math.ceil(len(labels) / columns)  # inches
    figure.set_figheight(after)
    ax.set_position((left, 1 - (1 - bottom) * before / after, width, height * before / after))
    figure.legend(handles, labels, loc="lower center", ncols=columns, fontsize=8.5, labelcolor=INK, frameon=False,
                  handlelength=1.4, columnspacing=1.2)  # fmt: skip


def _colours(n: int, times: int | None = None) -> list:
    """Distinct ones for a few lines, an ordered scale for many; one for all of them where n is 1."""
    if n == 1:
        return [COLOURS[0]] * (times or 1)
    return list(COLOURS[:n]) if n <= len(COLOURS) else [colormaps["viridis"](0.9 * i / (n - 1)) for i in range(n)]


def _file_name(text: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in text)[:100].lstrip(".") or "plot"
