"""Rows and whole grids of the runs' own images, cut out for comparison. Imports no torch.

The tiles of a grid are two pixels apart, in as many rows and columns as its PNG says: see aetrain/pictures/grids.py.
Grids of 0.1 do not say; their tiles are square.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from PIL import Image

from aetrain.sweeps.report.analysis import Line, Point, Sweep
from aetrain.sweeps.report.axes import Axis
from aetrain.sweeps.report.disk import content, is_folder
from aetrain.sweeps.report.read import Member
from aetrain.sweeps.report.values import show

GAP = 2  # pixels between tiles
MOST_PIXELS = 20_000_000
WIDEST = 1200  # pixels; larger pictures are reduced
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
            pictures += _row(grid, 0, "original")
        pictures += _row(grid, kinds - 1, label)
    if len(pictures) < 2:
        return None
    caption = f"The same held-out images, reconstructed at every {axis.key}{_where(line, rows)}."
    return Gallery("Reconstructions", caption, tuple(pictures))


def _codes(sweep: Sweep, axis: Axis, line: Line) -> Gallery | None:
    rows = _shown(sweep, axis, line)
    found = [(label, opened[0]) for label, member in rows if (opened := _opened(member, "codes"))]
    if not found:
        return None
    caption = (
        f"Codes of held-out images, coloured by class{_where(line, rows)}; of a VAE, posterior means. Each plane has a "
        "scale of its own."
    )
    return Gallery("Codes", caption, tuple(_picture(label, image) for label, image in found), wide=False)


def _traversals(sweep: Sweep, axis: Axis, line: Line) -> Gallery | None:
    rows = _shown(sweep, axis, line)
    j = top_dimension([m for _, m in rows])
    if j is None:
        return None
    pictures: list[Picture] = []
    for label, member in rows:
        grid = open_grid(member, "traversals")
        pictures += _row(grid, j, label) if grid else []
    if not pictures:
        return None
    caption = (
        f"Dimension {j} of the code, from −3 to 3 standard deviations of the prior, the others at the first test "
        f"image's{_where(line, rows)}. It is the one with the highest KL on average over these runs, so at some values "
        "of the key it may say nothing."
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
    return Gallery("Filters", caption, tuple(_picture(label, grid.image) for label, grid in grids), wide=False)


def _where(line: Line, rows: Sequence[tuple[str, Member]]) -> str:
    seeds = {m.seed for _, m in rows}
    parts = [line.label] * bool(line.label) + [f"seed {show(seed)}" for seed in seeds if len(seeds) == 1]
    return f" ({', '.join(parts)})" if parts else ""


def top_dimension(members: Sequence[Member], limit: int = 32) -> int | None:
    """Of the first `limit` dimensions that all members have, the one with the highest KL on average."""
    measured = [m.kl_per_dimension[:limit] for m in members if m.kl_per_dimension]
    means = [fmean(column) for column in zip(*measured, strict=False)]
    return max(range(len(means)), key=means.__getitem__) if means else None


@dataclass(frozen=True)
class Grid:
    image: Image.Image  # RGB
    rows: int
    columns: int


OLD_COLUMNS = {"reconstructions": 8, "traversals": 11, "filters": 8}  # of grids that do not say theirs


def open_grid(member: Member, what: str) -> Grid | None:
    """A run's latest grid of a kind; None if there is none that can be read."""
    found = _opened(member, what)
    return found and _laid_out(found[0], found[1].get("tiles"), found[1].get("drawn"), OLD_COLUMNS[what])


def _opened(member: Member, what: str) -> tuple[Image.Image, Mapping[object, object]] | None:
    """A run's latest picture of a kind and what its PNG says of it; None if there is none that can be read."""
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
            return image.convert("RGB"), image.info
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None  # what PIL raises for damaged files


def _laid_out(image: Image.Image, tiles: object, drawn: object, old_columns: int) -> Grid | None:
    """With the rows and columns that `tiles` says; None where the image cannot have them. drawn: "left width height
    scale", where labels and a caption stand around the tiles and these are enlarged; both are taken away."""
    if found := re.fullmatch(r"(\d{1,4})x(\d{1,4})", tiles) if isinstance(tiles, str) else None:
        rows, columns = int(found[1]), int(found[2])
    else:
        rows, columns = old_columns * (image.height - GAP) // max(1, image.width - GAP), old_columns
    scale = 1
    if found := re.fullmatch(r"(\d{1,4}) (\d{1,4}) (\d{1,4}) (\d{1,3})", drawn) if isinstance(drawn, str) else None:
        left, width, height, scale = map(int, found.groups())
        if left + width > image.width or height > image.height:
            return None
        image = image.crop((left, 0, left + width, height))
    fits = rows > 0 < columns and image.width > (GAP + 1) * columns and image.height > (GAP + 1) * rows
    return _reduced(Grid(image, rows, columns), scale) if fits else None


def _reduced(grid: Grid, scale: int) -> Grid:
    """A pixel for every square of so many: a page of enlarged grids would be large."""
    width, height = (grid.image.width - GAP) // grid.columns - GAP, (grid.image.height - GAP) // grid.rows - GAP
    if not 1 < scale <= min(width, height):
        return grid
    small = (width // scale, height // scale)
    tight = Image.new("RGB", (GAP + grid.columns * (small[0] + GAP), GAP + grid.rows * (small[1] + GAP)), (128,) * 3)
    for row in range(grid.rows):
        for column in range(grid.columns):
            x, y = GAP + column * (width + GAP), GAP + row * (height + GAP)
            tile = grid.image.crop((x, y, x + width, y + height)).resize(small, Image.Resampling.NEAREST)
            tight.paste(tile, (GAP + column * (small[0] + GAP), GAP + row * (small[1] + GAP)))
    return Grid(tight, grid.rows, grid.columns)


def _row(grid: Grid, row: int, label: str) -> list[Picture]:
    """One row of a grid, or nothing where there is none."""
    if row >= grid.rows:
        return []
    height = (grid.image.height - GAP) // grid.rows
    return [_picture(label, grid.image.crop((0, row * height, grid.image.width, (row + 1) * height + GAP)))]


def _picture(label: str, image: Image.Image) -> Picture:
    """Written anew, so that nothing of a foreign file but its pixels gets into the page."""
    if image.width > WIDEST:
        image = image.resize((WIDEST, max(1, image.height * WIDEST // image.width)))
    red, green, blue = image.split()
    if red.tobytes() == green.tobytes() == blue.tobytes():
        image = red
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return Picture(label, buffer.getvalue(), image.width, image.height)
