"""How the terms of an objective went from epoch to epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.ticker import MaxNLocator

from aetrain.pictures.figures import drawn_png, figure_of

COLOURS = {"train": "#8b9098", "val": "#1b5e9e"}
MOST = 9  # terms
COLUMNS = 3


def curves(rows: Sequence[Mapping[str, float]]) -> bytes:
    """A PNG: a panel for each term, training and validation in one. rows: {"epoch": 1, "train/loss": …} by epoch, as in
    results.csv; at least two."""
    tags = [tag for tag in rows[0] if tag.partition("/")[0] in COLOURS]
    terms = list(dict.fromkeys(tag.partition("/")[2] for tag in tags))[:MOST]
    columns, lines = min(COLUMNS, len(terms)), math.ceil(len(terms) / COLUMNS)
    figure, _ = figure_of(3.4 * columns, 2.5 * lines + 0.3)
    figure.clear()
    for number, term in enumerate(terms, 1):
        ax = figure.add_subplot(lines, columns, number)
        for split, colour in COLOURS.items():
            points = [(row["epoch"], row[tag]) for row in rows if (tag := f"{split}/{term}") in row]
            if points:
                ax.plot(*zip(*points, strict=True), ".-", color=colour, lw=1.3, ms=4, label=split)
        ax.set_title(term, fontsize=10, loc="left")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(alpha=0.2)
        if number == 1:
            ax.legend(frameon=False, fontsize=8)
        if number > len(terms) - columns:
            ax.set_xlabel("epoch", fontsize=9)
    return drawn_png(figure)
