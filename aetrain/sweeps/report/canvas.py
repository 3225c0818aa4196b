"""What the report's plots are drawn on, as PNG. matplotlib without pyplot: no global state, no window.

Dark text on white; the page turns the colours over where the reader's screen is dark.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from aetrain.sweeps.report.values import printable

INK, FAINT = "#1c1e21", "#c9ccd1"
LONGEST = 60  # characters of a label
SHORT = FuncFormatter(lambda v, _: f"{v:.4g}")


@dataclass(frozen=True)
class Plot:
    """name: of its file, without suffix. caption: one or two sentences. alt: what it shows, for who cannot see it."""

    name: str
    png: bytes
    caption: str
    alt: str


def axes(x_label: str, y_label: str):
    """A figure with one plot. y_label: stands above it."""
    figure = Figure(figsize=(4.6, 3.4), dpi=170, facecolor="white")
    # Fixed margins: the panels of a page line up, and matplotlib's own layout takes as long as all the drawing.
    ax = figure.add_axes((0.14, 0.15, 0.83, 0.74), facecolor="white")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(FAINT)
    ax.tick_params(colors=INK, labelsize=9, color=FAINT, which="both")
    ax.grid(True, color="#eceef0", lw=0.8)
    ax.set_axisbelow(True)
    for ticked in (ax.xaxis, ax.yaxis):
        ticked.set_major_formatter(SHORT)
    ax.set_xlabel(plain(x_label), fontsize=9.5, color=INK)
    ax.set_title(plain(y_label), fontsize=10.5, color=INK, loc="left", pad=8)
    return figure, ax


def plain(text: str) -> str:
    """Text of a bounded length that matplotlib does not take for a formula."""
    text = printable(text)
    return (text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…").replace("$", r"\$")


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
