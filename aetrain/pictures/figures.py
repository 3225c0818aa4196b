"""Plots, by matplotlib, without its global state."""

from __future__ import annotations

import io
import warnings

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

LETTERS = 24  # of a class's name


def figure_of(width: float, height: float) -> tuple[Figure, Axes]:
    """With one plot. In inches, of 120 pixels."""
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def drawn_png(figure: Figure) -> bytes:
    """The content of a PNG file."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a name in a script that no font has here: a box
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def plain(text: str, letters: int = LETTERS) -> str:
    """On one line, cut, and without what matplotlib would read as mathematics or leave out of a legend."""
    text = " ".join(text.split())
    text = text if len(text) <= letters else text[: letters - 1] + "…"
    return ("\u200b" + text if text.startswith("_") else text).replace("$", r"\$")
