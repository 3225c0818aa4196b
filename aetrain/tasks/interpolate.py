"""task=interpolate: from one image to another through the codes between."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from aetrain.errors import UserError
from aetrain.evaluation.codes import code_chunks
from aetrain.pictures.animation import gif
from aetrain.pictures.grids import picture
from aetrain.tasks.images import class_label, named
from aetrain.tasks.work import Work


class End(NamedTuple):
    """A code, (1, D), its label, (1,), and what it is of."""

    code: Tensor
    y: Tensor
    name: str


@torch.no_grad()
def run(work: Work) -> dict[str, float]:
    """interpolations.png, a row from each image to the next; interpolations.gif; interpolations.csv says what lies at
    the ends."""
    task = work.task
    if task.between is None:
        if len(work.split) < 2:
            raise UserError(f"split={work.split_name}: one image, and the way needs two")
        firsts = [_end(work, str(i)) for i in range(min(2 * task.pairs, len(work.split) // 2 * 2))]
        ways = list(zip(firsts[::2], firsts[1::2], strict=True))
    else:
        ways = list(pairwise([_end(work, word) for word in task.between]))
    with work.out.rows("interpolations.csv", ["row", "from", "to"]) as rows:
        for i, (a, b) in enumerate(ways):
            rows.add([i, a.name, b.name])
    images = torch.stack([_decoded(work, a, b) for a, b in ways])  # (ways, steps, C, H, W)
    caption = "Decoded codes, each row on the way from that of one image to that of another: see interpolations.csv."
    work.out.file("interpolations.png", picture(images, caption))
    work.out.file("interpolations.gif", gif(list(images.transpose(0, 1)), columns=4))
    return {}


def _end(work: Work, word: str) -> End:
    if word.startswith("class:"):
        label = class_label(work, "between", word.removeprefix("class:"))
        return _mean_of_class(work, label, word)
    image = named(work, "between", word)
    return End(work.model.encode(image.x, image.y), image.y, image.name)


def _mean_of_class(work: Work, label: int, word: str) -> End:
    total, count = torch.zeros(work.model.code_shape, dtype=torch.float64, device=work.where), 0
    with work.counted(work.split, f"images, {word}") as split:
        for z, y in code_chunks(work.model, split):
            mine = z[y == label].double()
            total, count = total + mine.sum(0), count + len(mine)
    if not count:
        raise UserError(f"between={word}: the {work.split_name} split has no image of it")
    like = next(work.model.parameters())
    return End((total / count)[None].to(like), torch.full((1,), label, device=work.where), word)


def _decoded(work: Work, a: End, b: End) -> Tensor:
    """(steps, C, H, W). The label, for models that use one, changes half way."""
    place = torch.linspace(0, 1, work.task.steps, device=work.where)[:, None]
    way = linear if work.task.path == "linear" else spherical
    labels = torch.where(place[:, 0] < 0.5, a.y, b.y)
    return work.model.decode(way(a.code, b.code, place), labels).float().cpu()


def linear(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """(1, D) each, t: (n, 1) from 0 to 1 -> (n, D)."""
    return a + t * (b - a)


def spherical(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Along the arc between two codes, of which length and direction change evenly: in many dimensions a Gaussian's
    draws lie near a sphere, which the straight way leaves (White 2016). (1, D) each, t: (n, 1) -> (n, D). Straight
    where the angle is 0 or not defined."""
    lengths = a.norm(), b.norm()
    if min(lengths) == 0:
        return linear(a, b, t)
    u, v = a / lengths[0], b / lengths[1]
    angle = torch.acos((u * v).sum().clamp(-1, 1))
    if torch.sin(angle) < 1e-4:
        return linear(a, b, t)
    direction = (torch.sin((1 - t) * angle) * u + torch.sin(t * angle) * v) / torch.sin(angle)
    return direction * (lengths[0] + t * (lengths[1] - lengths[0]))
