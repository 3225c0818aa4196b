"""task=manifold: a code of two dimensions, decoded all over, and where the images' codes lie in it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aetrain.evaluation.codes import codes
from aetrain.models.prior import StandardNormal
from aetrain.pictures.grids import png, to_bytes
from aetrain.pictures.plane import plane
from aetrain.tasks.work import Work


@torch.no_grad()
def run(work: Work) -> dict[str, float]:
    """manifold.png: decoded codes beside the scatter of the images' codes, on the same axes; manifold_only.png:
    the decoded images alone.

    With a standard normal prior the axes are its quantiles, so that equal areas are equally likely (Kingma & Welling
    2014, appendix A); otherwise they are linear, over all but the outermost codes."""
    task, model = work.task, work.model
    with work.counted(work.split, "images") as split:
        z, y = codes(model, split, task.points)
    quantiles = isinstance(model.prior, StandardNormal)
    low, high = _edges(work, z, quantiles)
    place = torch.linspace(0, 1, task.steps + 1, dtype=torch.float64)
    place = (place[1:] + place[:-1]) / 2  # of the images' centres, in the unit square
    across, up = torch.meshgrid(place, place.flip(0), indexing="xy")
    square = torch.stack([across, up], dim=2)  # (rows, columns, 2), the first row at the top
    grid_codes = from_square(square.flatten(0, 1), low, high, quantiles).to(z)
    parts = grid_codes.split(work.batch_size)
    images = torch.cat([model.decode(part, part.new_zeros(len(part), dtype=torch.int64)).float() for part in parts])
    images = images.unflatten(0, (task.steps, task.steps))
    rows, columns, channels, height, width = images.shape
    work.out.file("manifold_only.png", png(
        to_bytes(images).permute(2, 0, 3, 1, 4).reshape(channels, rows * height, columns * width)))  # fmt: skip
    points = to_square(z.double().cpu(), low, high, quantiles)
    ticks = _ticks(low, high, quantiles)
    work.out.file("manifold.png", plane(images, ticks, points, y.cpu(), work.classes))
    return {"codes_shown": float(((points >= 0) & (points <= 1)).all(1).double().mean())}


def _edges(work: Work, z: Tensor, quantiles: bool) -> tuple[float, float]:
    """What both axes begin and end with: quantiles of the prior, or codes."""
    margin = work.task.margin
    if quantiles:
        return margin, 1 - margin
    values = z.double()
    low = min(float(values[:, d].quantile(margin)) for d in (0, 1))
    high = max(float(values[:, d].quantile(1 - margin)) for d in (0, 1))
    return (low, high) if high > low else (low - 1, low + 1)


def from_square(u: Tensor, low: float, high: float, quantiles: bool) -> Tensor:
    """Codes of places in the unit square, (N, 2) each."""
    value = low + u * (high - low)
    return math.sqrt(2) * torch.erfinv(2 * value - 1) if quantiles else value


def to_square(z: Tensor, low: float, high: float, quantiles: bool) -> Tensor:
    """The inverse of `from_square`."""
    value = 0.5 * (1 + torch.erf(z / math.sqrt(2))) if quantiles else z
    return (value - low) / (high - low)


def _ticks(low: float, high: float, quantiles: bool) -> list[tuple[float, str]]:
    """Place in the unit interval and the code there."""
    if not quantiles:
        values = torch.linspace(low, high, 7, dtype=torch.float64)
    else:
        values = torch.tensor([-2, -1, -0.5, 0, 0.5, 1, 2], dtype=torch.float64)
    places = to_square(values, low, high, quantiles).tolist()
    return [(p, f"{v:.3g}") for p, v in zip(places, values.tolist(), strict=True) if 0 <= p <= 1]
