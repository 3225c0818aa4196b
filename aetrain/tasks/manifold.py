"""task=manifold: a code of two dimensions, decoded all over, and where the images' codes lie in it."""

from __future__ import annotations

import logging
import math

import torch
from torch import Tensor

from aetrain.console import CountBar
from aetrain.data.split import Split
from aetrain.errors import UserError
from aetrain.evaluation.codes import Codes, code_chunks, codes
from aetrain.pictures.grids import CLASSES, png, to_bytes
from aetrain.pictures.plane import plane
from aetrain.priors.normal import Normal
from aetrain.tasks.images import asked_labels
from aetrain.tasks.work import Work

log = logging.getLogger(__name__)


@torch.no_grad()
def run(work: Work) -> dict[str, float]:
    """manifold.png: decoded codes beside the scatter of the images' codes, on the same axes; manifold_only.png:
    the decoded images alone. Of a model that is given classes a plane for each, and the codes of their images.

    With a standard normal prior the axes are its quantiles, so that equal areas are equally likely (Kingma & Welling
    2014, appendix A); otherwise they are linear, over all but the outermost codes."""
    task, model = work.task, work.model
    labels = _labels(work)
    with work.counted(work.split, "images") as split:
        z, y = _codes(work, split, labels)
    quantiles = isinstance(model.prior, Normal)
    low, high = _edges(work, z, quantiles)
    place = torch.linspace(0, 1, task.steps + 1, dtype=torch.float64)
    place = (place[1:] + place[:-1]) / 2  # of the images' centres, in the unit square
    across, up = torch.meshgrid(place, place.flip(0), indexing="xy")
    square = torch.stack([across, up], dim=2)  # (rows, columns, 2), the first row at the top
    grid_codes = from_square(square.flatten(0, 1), low, high, quantiles).to(z)
    decoded: dict[str, Tensor] = {}
    with CountBar(max(len(labels), 1), "planes") as bar:
        for label in labels or [0]:
            parts = [model.decode(part, part.new_full((len(part),), label, dtype=torch.int64)).float().cpu()
                     for part in grid_codes.split(work.batch_size)]  # fmt: skip
            title = f"decoded as {work.class_names[label]}" if labels else "decoded"
            decoded[title] = torch.cat(parts).unflatten(0, (task.steps, task.steps))
            bar.advance()
    work.out.file("manifold_only.png", png(_side_by_side(list(decoded.values()))))
    points = to_square(z.double().cpu(), low, high, quantiles)
    ticks = _ticks(low, high, quantiles)
    work.out.file("manifold.png", plane(decoded, ticks, points, y.cpu(), work.classes))
    return {"codes_shown": float(((points >= 0) & (points <= 1)).all(1).double().mean())}


def _labels(work: Work) -> list[int]:
    """Of a model that is given classes: those requested, else all, or the first of very many."""
    if not work.config.model.needs_labels:
        return []
    names = work.class_names
    if work.task.classes is None and len(names) > CLASSES:
        log.info("a plane for each of the first %d of %d classes; choose others with classes=[…]", CLASSES, len(names))
    return asked_labels(work) or list(range(min(len(names), CLASSES)))


def _codes(work: Work, split: Split, labels: list[int]) -> Codes:
    """Of the first images, of these classes where there are any. Raises a UserError where none is."""
    if not labels:
        return codes(work.model, split, work.task.points)
    parts, wanted, found = [], torch.tensor(labels, device=work.where), 0
    for part in code_chunks(work.model, split):
        rows = torch.isin(part.y, wanted).nonzero().flatten()[: work.task.points - found]
        parts.append(Codes(part.z[rows], part.y[rows]))
        found += len(rows)
        if found == work.task.points:
            break
    if not found:
        raise UserError(f"classes=[{','.join(work.task.classes or ())}]: no image of the {work.split_name} split is of "
                        "these")  # fmt: skip
    return Codes(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _side_by_side(planes: list[Tensor]) -> Tensor:
    """Planes of (rows, columns, C, H, W) as one picture, (C, …, …), bytes."""
    across = math.ceil(math.sqrt(len(planes)))
    whole = [to_bytes(one).permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2) for one in planes]
    whole += [torch.zeros_like(whole[0])] * (-len(whole) % across)
    return torch.cat([torch.cat(whole[i : i + across], dim=2) for i in range(0, len(whole), across)], dim=1)


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
