"""How scores are spread, for two kinds of images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aetrain.pictures.figures import drawn_png, figure_of

BINS = 60
TAIL = 0.005  # share of the scores at each end that goes into the outermost bins: one image far off would hide the rest


def histogram(parts: dict[str, NDArray], threshold: float | None, title: str, axis: str) -> bytes:
    """A PNG: the share of each part's scores in every bin, and the threshold as a line. parts: name -> (N,), finite."""
    everything = np.concatenate(list(parts.values()))
    low, high = np.quantile(everything, [TAIL, 1 - TAIL])
    if threshold is not None:
        low, high = min(low, threshold), max(high, threshold)
    if high <= low:
        low, high = low - 0.5, low + 0.5
    edges = np.linspace(low, high, BINS + 1)
    figure, ax = figure_of(7.5, 4)
    for (name, values), color in zip(parts.items(), ("#1f77b4", "#d62728", "#7f7f7f"), strict=False):
        if len(values):
            weights = np.full(len(values), 1 / len(values))
            ax.hist(values.clip(low, high), edges, weights=weights, alpha=0.6, color=color,
                    label=f"{name}: {len(values):,} images")  # fmt: skip
    if threshold is not None:
        ax.axvline(threshold, color="black", linewidth=1.2, label=f"threshold {threshold:.4g}")
    ax.set(title=title, xlabel=axis, ylabel="share of the images")
    ax.legend(frameon=False)
    return drawn_png(figure)
