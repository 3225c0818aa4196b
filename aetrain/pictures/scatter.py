"""Codes as points of a plane, coloured by label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from aetrain.data.split import UNLABELLED
from aetrain.pictures.figures import drawn_png, figure_of, plain

NAMED = 20  # classes, at most, that get a colour and a name of their own
COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf",
          "#aec7e8", "#ffbb78", "#98df8a", "#ff9896", "#c5b0d5", "#c49c94", "#f7b6d2", "#c7c7c7", "#dbdb8d",
          "#9edae5")  # fmt: skip


def scatter(points: NDArray, labels: NDArray, classes: Sequence[str], title: str, axes: tuple[str, str]) -> bytes:
    """A PNG. points: (N, 2); labels: (N,), drawn in grey where there are none; classes: names by label; axes: what the
    two directions are."""
    figure, ax = figure_of(7.5, 6)
    points_on(figure, ax, points, labels, classes)
    ax.set(title=plain(title, 100), xlabel=axes[0], ylabel=axes[1])
    ax.set_aspect("equal", adjustable="datalim")
    ax.grid(alpha=0.2)
    return drawn_png(figure)


def points_on(figure: Figure, ax: Axes, points: NDArray, labels: NDArray, classes: Sequence[str]) -> None:
    """Points and their legend on one of a figure's plots: see `scatter`."""
    size = float(np.clip(3e4 / max(len(points), 1), 4, 30))
    found = [int(label) for label in np.unique(labels) if label != UNLABELLED]
    shown = {"s": size, "linewidths": 0, "alpha": 0.7, "rasterized": True}
    order = np.random.default_rng(0).permutation(len(points))  # else the last class would cover the others
    points, labels = points[order], labels[order]
    if not found or len(found) > NAMED:
        if found:
            drawn = ax.scatter(*points.T, c=labels, cmap="viridis", **shown)
            figure.colorbar(drawn, label="label")
        else:
            ax.scatter(*points.T, color=COLORS[0], **shown)
    else:
        colors = {label: COLORS[i] for i, label in enumerate(found)} | {UNLABELLED: "#bbbbbb"}
        ax.scatter(*points.T, c=[colors[int(label)] for label in labels], **shown)
        names = [(label, classes[label] if label < len(classes) else str(label)) for label in found]
        if (labels == UNLABELLED).any():
            names.append((UNLABELLED, "no label"))
        marks = [Line2D([], [], marker="o", linestyle="", color=colors[label], label=plain(name))
                 for label, name in names]  # fmt: skip
        figure.legend(handles=marks, loc="outside right center", frameon=False)
