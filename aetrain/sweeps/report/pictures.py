"""Rows and whole grids of the runs' own images, cut out for comparison. Imports no torch.

The tiles of a grid are square, two pixels apart, on a grid of known columns; a text in the PNG says what is around them
and how much they are enlarged: see aetrain/pictures/grids.py.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from PIL import Image

from aetrain.sweeps.report.analysis import Line, Point, Sweep
from aetrain.sweeps.report.axes import Axis
from aetrain.sweeps.report.disk import content, is_folder
from aetrain.sweeps.report.read import Member
from aetrain.sweeps.report.values import show

GAP = 2  # pixels between tiles
MOST_PIXELS = 4_000_000
MOST_BYTES = 16 << 20
MOST_ROWS = 12


@dataclass(frozen=True)
class Picture:
    label: str
    png: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Gallery:
    """Pictures under one caption. wide: rows of tiles, one under the other; else squares, side by side."""

    title: str
    caption: str
    pictures: tuple[Picture, ...]
    wide: bool = True


def galleries(sweep: Sweep, axis: Axis) -> list[Gallery]:
    """What suits a swept key, as far as there are images. With several keys, at the setting of the others that has the
    most values of this one."""
    lines = sweep.lines(axis)
    if not lines:
        return []
    line = max(lines, key=lambda line: len(line.points))
    found = [_codes(sweep, axis, line), _reconstructions(sweep, axis, line)]
    if axis.key == "model.beta":
        found.append(_traversals(sweep, axis, line))
    if axis.key == "model.rho":
        found.append(_filters(sweep, axis, line))
    return [gallery for gallery in found if gallery]


def _shown(sweep: Sweep, axis: Axis, line: Line) -> list[tuple[str, Member]]:
    """(label, member) for at most MOST_ROWS values, from the first to the last; the member with the lowest seed."""
    points: Sequence[Point] = line.points
    if len(points) > MOST_ROWS:
        points = [points[round(i * (len(points) - 1) / (MOST_ROWS - 1))] for i in range(MOST_ROWS)]
    index, symbol = sweep.axis_index(axis), axis.name if axis.is_numeric else ""
    rows = []
    for point in points:
        done = [m for m in point.members if m.status == "done"]
        label = f"{symbol} {show(point.values[index])}".strip()
        rows.append((label, min(done, key=lambda m: (len(show(m.seed)), show(m.seed)))))
    return rows


def _reconstructions(sweep: Sweep, axis: Axis, line: Line) -> Gallery | None:
    rows = _shown(sweep, axis, line)
    pictures: list[Picture] = []
    for label, member in rows:
        grid = open_grid(member, "reconstructions")
        if grid is None:
            continue
        kinds = 3 if "model.corruption" in member.config else 2
        if not pictures:
            pictures += _row(grid, 8, 0, "original")
        pictures += _row(grid, 8, kinds - 1, label)
    if len(pictures) < 2:
        return None
    caption = f"The same held-out images, reconstructed at every {axis.key}{_where(line, rows)}."
    return Gallery("Reconstructions", caption, tuple(pictures))


def _codes(sweep: Sweep, axis: Axis, line: Line) -> Gallery | None:
    rows = _shown(sweep, axis, line)
    grids = [(label, grid) for label, member in rows if (grid := open_grid(member, "codes"))]
    if not grids:
        return None
    caption = (
        f"Codes of held-out images, coloured by class{_where(line, rows)}; of a VAE, posterior means. Each plane has a "
        "scale of its own."
    )
    return Gallery("Codes", caption, tuple(_picture(label, grid) for label, grid in grids), wide=False)


def _traversals(sweep: Sweep, axis: Axis, line: Line) -> Gallery | None:
    rows = _shown(sweep, axis, line)
    j = top_dimension([m for _, m in rows])
    if j is None:
        return None
    pictures: list[Picture] = []
    for label, member in rows:
        grid = open_grid(member, "traversals")
        pictures += _row(grid, 11, j, label) if grid else []
    if not pictures:
        return None
    caption = (
        f"Dimension {j} of the code, from −3 to 3, the others at the first test image's{_where(line, rows)}. It is the "
        "one with the highest KL on average over these runs, so at some values of the key it may say nothing."
    )
    return Gallery(f"Traversal of z[{j}]", caption, tuple(pictures))


def _filters(sweep: Sweep, axis: Axis, line: Line) -> Gallery | None:
    rows = _shown(sweep, axis, line)
    grids = [(label, grid) for label, member in rows if (grid := open_grid(member, "filters"))]
    if not grids:
        return None
    caption = (
        f"First-layer weights of the first 64 units, by index{_where(line, rows)}; each is scaled by its largest "
        "magnitude, grey is zero."
    )
    return Gallery("Filters", caption, tuple(_picture(label, grid) for label, grid in grids), wide=False)


def _where(line: Line, rows: Sequence[tuple[str, Member]]) -> str:
    seeds = {m.seed for _, m in rows}
    parts = [line.label] * bool(line.label) + [f"seed {show(seed)}" for seed in seeds if len(seeds) == 1]
    return f" ({', '.join(parts)})" if parts else ""


def top_dimension(members: Sequence[Member], limit: int = 32) -> int | None:
    """Of the first `limit` dimensions that all members have, the one with the highest KL on average."""
    measured = [m.kl_per_dimension[:limit] for m in members if m.kl_per_dimension]
    means = [fmean(column) for column in zip(*measured, strict=False)]
    return max(range(len(means)), key=means.__getitem__) if means else None


def open_grid(member: Member, what: str) -> Image.Image | None:
    """A run's latest grid of a kind; None if there is none that can be read."""
    folder = member.folder / "grids"
    names = folder.glob(f"{what}_*.png") if is_folder(member.folder) and is_folder(folder) else []
    numbered = [path for path in names if re.fullmatch(rf"{what}_\d{{4,9}}", path.stem)]
    latest = max(numbered, key=lambda path: int(path.stem.rpartition("_")[2]), default=None)
    try:
        if latest is None or (png := content(latest, MOST_BYTES)) is None:
            return None
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            if image.width * image.height > MOST_PIXELS:
                return None
            return _as_drawn(image.convert("RGB"), image.info.get("aetrain-grid"))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None  # what PIL raises for damaged files


def _as_drawn(image: Image.Image, layout: object) -> Image.Image:
    """The tiles alone, a pixel for a pixel. layout: "left scale columns rows"; of grids without one there is nothing to
    take away."""
    found = re.fullmatch(r"(\d{1,4}) (\d{1,3}) (\d{1,3}) (\d{1,3})", layout) if isinstance(layout, str) else None
    if not found:
        return image
    left, scale, columns, rows = map(int, found.groups())
    side = (image.width - left - GAP) // max(columns, 1) - GAP
    if not (1 <= scale <= side and rows * (side + GAP) + GAP <= image.height):
        return image
    size = side // scale
    tight = Image.new("RGB", (GAP + columns * (size + GAP), GAP + rows * (size + GAP)), (128, 128, 128))
    for row in range(rows):
        for column in range(columns):
            x, y = left + GAP + column * (side + GAP), GAP + row * (side + GAP)
            tile = image.crop((x, y, x + side, y + side)).resize((size, size), Image.Resampling.NEAREST)
            tight.paste(tile, (GAP + column * (size + GAP), GAP + row * (size + GAP)))
    return tight


def _row(grid: Image.Image, columns: int, row: int, label: str) -> list[Picture]:
    """One row of a grid, or nothing where there is none."""
    side = (grid.width - GAP) // columns
    top = row * side
    if side <= GAP or top + side + GAP > grid.height:
        return []
    return [_picture(label, grid.crop((0, top, grid.width, top + side + GAP)))]


def _picture(label: str, image: Image.Image) -> Picture:
    """Written anew, so that nothing of a foreign file but its pixels gets into the page."""
    red, green, blue = image.split()
    if red.tobytes() == green.tobytes() == blue.tobytes():
        image = red
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return Picture(label, buffer.getvalue(), image.width, image.height)
