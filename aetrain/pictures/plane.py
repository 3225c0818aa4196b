"""Codes of two dimensions: what is decoded all over the plane, and where images lie in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from aetrain.pictures.figures import drawn_png
from aetrain.pictures.grids import to_bytes
from aetrain.pictures.scatter import points_on


def plane(images: Tensor, ticks: Sequence[tuple[float, str]], points: Tensor, labels: Tensor,
          classes: Sequence[str]) -> bytes:  # fmt: skip
    """A PNG of two panels with the same axes, each from 0 to 1. images: (rows, columns, C, H, W), the first row at the
    top; points: (N, 2) in the unit square; labels: (N,), negative where there is none; ticks: place and text of the
    marks of both axes."""
    figure = Figure(figsize=(12, 6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    rows, columns, channels, height, width = images.shape
    canvas = to_bytes(images).permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels).cpu().numpy()
    canvas = canvas if channels == 3 else np.repeat(canvas, 3, axis=2)
    left.imshow(canvas, extent=(0, 1, 0, 1), aspect="equal", interpolation="nearest")
    points_on(figure, right, points.cpu().numpy(), labels.cpu().numpy(), classes)
    for panel, title in ((left, "decoded"), (right, f"codes of {len(points):,} images")):
        panel.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title=title)
        panel.set(xlabel="first dimension", ylabel="second dimension")
        panel.set_xticks([place for place, _ in ticks], [text for _, text in ticks])
        panel.set_yticks([place for place, _ in ticks], [text for _, text in ticks])
    return drawn_png(figure)
