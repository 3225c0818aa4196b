"""How the terms of an objective went from epoch to epoch.

Drawn without matplotlib, whose import takes longer than a short run.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

COLOURS = {"train": "#8b9098", "val": "#1b5e9e"}
INK, FAINT, GRID = "#1c1e21", "#b9bdc3", "#e9ebee"
MOST = 9  # terms
COLUMNS = 3
DOTTED = 60  # epochs, up to which each has its dot
LARGER = 2  # drawn so many times larger and reduced: lines without steps
WIDTH, HEIGHT = 408, 300  # pixels of a panel
LEFT, TOP, RIGHT, BOTTOM = 62, 34, 14, 44  # pixels around its plot
FONT, TITLE = (ImageFont.load_default(size * LARGER) for size in (12, 14))


def curves(rows: Sequence[Mapping[str, float]]) -> bytes:
    """A PNG: a panel for each term, training and validation in one. rows: {"epoch": 1, "train/loss": …} by epoch, as in
    results.csv; at least two."""
    tags = [tag for tag in rows[0] if tag.partition("/")[0] in COLOURS]
    terms = list(dict.fromkeys(tag.partition("/")[2] for tag in tags))[:MOST]
    columns, lines = min(COLUMNS, len(terms)), math.ceil(len(terms) / COLUMNS)
    canvas = Image.new("RGB", (LARGER * WIDTH * columns, LARGER * HEIGHT * lines), "white")
    pen = ImageDraw.Draw(canvas)
    for number, term in enumerate(terms):
        drawn = {split: _points(rows, f"{split}/{term}") for split in COLOURS}
        panel = _Panel(pen, number % columns * WIDTH, number // columns * HEIGHT, rows, drawn)
        panel.axes(term, named=number >= len(terms) - columns)
        panel.lines(legend=number == 0)
    buffer = io.BytesIO()
    canvas.reduce(LARGER).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _points(rows: Sequence[Mapping[str, float]], tag: str) -> list[tuple[float, float]]:
    """(epoch, value) of the finite ones."""
    return [(row["epoch"], row[tag]) for row in rows if math.isfinite(row.get(tag, math.nan))]


@dataclass
class _Panel:
    """One term. x, y: of its upper left corner, pixels. drawn: the points of each split."""

    pen: ImageDraw.ImageDraw
    x: int
    y: int
    rows: Sequence[Mapping[str, float]]
    drawn: Mapping[str, list[tuple[float, float]]]

    def __post_init__(self):
        values = [value for points in self.drawn.values() for _, value in points] or [0.0]
        self.across = padded(self.rows[0]["epoch"], self.rows[-1]["epoch"])
        self.up = padded(min(values), max(values))

    def at(self, epoch: float, value: float) -> tuple[float, float]:
        (first, last), (low, high) = self.across, self.up
        x = self.x + LEFT + (WIDTH - LEFT - RIGHT) * (epoch - first) / (last - first)
        y = self.y + HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)
        return LARGER * x, LARGER * y

    def axes(self, term: str, named: bool) -> None:
        left, base = self.at(self.across[0], self.up[0])
        right, top = self.at(self.across[1], self.up[1])
        gap = 6 * LARGER
        for epoch, text in ticks(*self.across, least=1):
            x, _ = self.at(epoch, 0)
            self.pen.line((x, base, x, top), GRID, LARGER)
            self.pen.text((x, base + gap), text, INK, FONT, anchor="mt")
        for value, text in ticks(*self.up):
            _, y = self.at(0, value)
            self.pen.line((left, y, right, y), GRID, LARGER)
            self.pen.text((left - gap, y), text, INK, FONT, anchor="rm")
        self.pen.line((left, top, left, base, right, base), FAINT, LARGER)
        self.pen.text((left, top - gap), term, INK, TITLE, anchor="ls")
        if named:
            self.pen.text(((left + right) / 2, base + 4 * gap), "epoch", INK, FONT, anchor="mt")

    def lines(self, legend: bool) -> None:
        dot, (right, top) = 2.2 * LARGER, self.at(self.across[1], self.up[1])
        for row, (split, points) in enumerate((split, points) for split, points in self.drawn.items() if points):
            colour, places = COLOURS[split], [self.at(*point) for point in points]
            self.pen.line(places, colour, round(1.5 * LARGER), joint="curve")
            for x, y in places if len(places) <= DOTTED else ():
                self.pen.ellipse((x - dot, y - dot, x + dot, y + dot), colour)
            if legend:
                self.pen.text((right - 8 * LARGER, top + (12 + 16 * row) * LARGER), split, colour, FONT, anchor="rm")


def padded(low: float, high: float) -> tuple[float, float]:
    """A little more than from low to high, also where they are the same."""
    room = 0.05 * (high - low) or 0.05 * abs(low) or 1.0
    return low - room, high + room


def ticks(low: float, high: float, least: float = 0.0) -> Iterator[tuple[float, str]]:
    """Two to seven round numbers between the two, and how they are written. least: the smallest distance."""
    rough = (high - low) / 6
    size = 10.0 ** math.floor(math.log10(rough))
    step = max(least, next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * 0.999))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    told = max(6, math.ceil(math.log10(max(abs(low), abs(high), step) / step)) + 1)  # digits in which neighbours differ
    for i in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield i * step, f"{i * step:.{digits}f}" if digits < 7 and abs(i * step) < 1e6 else f"{i * step:.{told}g}"
