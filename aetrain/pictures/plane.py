"""Codes of two dimensions: what is decoded all over the plane, and where images lie in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from aetrain.pictures.figures import drawn_png, plain
from aetrain.pictures.grids import to_bytes
from aetrain.pictures.scatter import points_on


def plane(decoded: Mapping[str, Tensor], ticks: Sequence[tuple[float, str]], points: Tensor, labels: Tensor,
          classes: Sequence[str]) -> bytes:  # fmt: skip
    """A PNG of panels with the same axes, each from 0 to 1: what is decoded, by title, then the points. decoded: each
    (rows, columns, C, H, W), the first row at the top; points: (N, 2) in the unit square; labels: (N,), negative where
    there is none; ticks: place and text of the marks of both axes."""
    across = math.ceil(math.sqrt(len(decoded) + 1))
    down = math.ceil((len(decoded) + 1) / across)
    side = 6 if len(decoded) == 1 else 4  # inches
    figure = Figure(figsize=(side * across, side * down), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(down, across, squeeze=False).flatten()
    for panel, images in zip(panels, decoded.values(), strict=False):
        panel.imshow(_canvas(images), extent=(0, 1, 0, 1), aspect="equal", interpolation="nearest")
    points_on(figure, panels[len(decoded)], points.cpu().numpy(), labels.cpu().numpy(), classes)
    titles = [*map(plain, decoded), f"codes of {len(points):,} images"]
    for panel in panels[len(titles) :]:
        panel.remove()
    for panel, title in zip(panels, titles, strict=False):
        panel.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title=title)
        panel.set(xlabel="first dimension", ylabel="second dimension")
        panel.set_xticks([place for place, _ in ticks], [text for _, text in ticks])
        panel.set_yticks([place for place, _ in ticks], [text for _, text in ticks])
    return drawn_png(figure)


def _canvas(images: Tensor) -> np.ndarray:
    """(rows, columns, C, H, W) side by side: (height, width, 3), bytes."""
    rows, columns, channels, height, width = images.shape
    canvas = to_bytes(images).permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels).cpu().numpy()
    return canvas if channels == 3 else np.repeat(canvas, 3, axis=2)
