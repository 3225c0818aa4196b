"""Codes of two dimensions: what is decoded all over the plane, and where images lie in it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from aetrain.pictures.grids import to_bytes

MOST_CLASSES = 20  # that are told apart by colour


def plane(images: Tensor, ticks: Sequence[tuple[float, str]], points: Tensor, labels: Tensor,
          classes: Sequence[str], axes: tuple[str, str]) -> bytes:  # fmt: skip
    """A PNG of two panels with the same axes, each from 0 to 1. images: (rows, columns, C, H, W), the first row at the
    top; points: (N, 2) in the unit square; labels: (N,), negative where there is none; ticks: place and text of the
    marks of both axes; axes: what they are called."""
    figure = Figure(figsize=(13, 6.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    rows, columns, channels, height, width = images.shape
    canvas = to_bytes(images).permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels).cpu().numpy()
    canvas = canvas if channels == 3 else np.repeat(canvas, 3, axis=2)
    left.imshow(canvas, extent=(0, 1, 0, 1), aspect="equal", interpolation="nearest")
    left.set_title("decoded")
    scatter(right, points.cpu().numpy(), labels.cpu().numpy(), classes)
    right.set_title(f"codes of {len(points):,} images")
    for panel in (left, right):
        panel.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel=axes[0], ylabel=axes[1])
        panel.set_xticks([place for place, _ in ticks], [text for _, text in ticks])
        panel.set_yticks([place for place, _ in ticks], [text for _, text in ticks])
    return saved(figure)


def scatter(panel, points: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> None:
    """Points by the colour of their labels, with a legend. points: (N, 2), labels: (N,), negative: none."""
    present = [int(label) for label in np.unique(labels)]
    if len(present) > MOST_CLASSES or present == [-1]:
        shown = labels if len(present) > 1 else "#1b5e9e"
        panel.scatter(points[:, 0], points[:, 1], s=5, c=shown, linewidths=0)
        return
    colours = colormaps["tab10" if len(present) <= 10 else "tab20"]
    for i, label in enumerate(present):
        mine = points[labels == label]
        name = "unlabelled" if label < 0 else classes[label] if label < len(classes) else str(label)
        panel.scatter(mine[:, 0], mine[:, 1], s=5, color=colours(i), linewidths=0, label=_plain(name))
    panel.legend(markerscale=3, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _plain(text: str) -> str:
    """Someone else's text as matplotlib draws it: no formula, and not hidden for an underscore."""
    return ("\u200b" if text.startswith("_") else "") + text[:40].replace("$", r"\$")


def saved(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")  # of a name in a script that the font lacks
        figure.savefig(buffer, format="png")
    return buffer.getvalue()
