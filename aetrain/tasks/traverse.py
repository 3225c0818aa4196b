"""task=traverse: what each dimension of the code stands for."""

from __future__ import annotations

import logging

import torch

from aetrain.errors import UserError
from aetrain.evaluation.dimensions import Dimensions, dimensions
from aetrain.pictures.animation import gif
from aetrain.pictures.grids import labelled, short
from aetrain.tasks.images import asked_labels, named
from aetrain.tasks.work import Work

log = logging.getLogger(__name__)

WORDS = {"kl": "falling KL", "variance": "falling variance", "index": "number"}


@torch.no_grad()
def run(work: Work) -> dict[str, float]:
    """traversals.png, a row for each dimension, named with its KL or variance; traversals.gif, in which all of them
    move at once; dimensions.csv. With classes, these rows for each of them, one class below the other."""
    task, model, labels = work.task, work.model, asked_labels(work)
    image = named(work, "of", task.of)
    with work.counted(work.split, "images") as split:
        known = dimensions(model, split)
    by = task.order or ("variance" if known.kl is None else "kl")
    if by == "kl" and known.kl is None:
        raise UserError(f"order=kl: model={model.config.name} has no posterior; give order=variance or index")
    order = known.order(by)[: task.dims]
    if task.dims is not None and len(order) < task.dims:
        log.info("dims=%d: the code has %d dimensions, and all are shown", task.dims, len(order))
    _write(work, known, order)
    log.info("rows from the top: dimensions %s, by %s", ", ".join(map(str, order)), WORDS[by])
    low, high = _range(work, known)
    place = torch.linspace(0, 1, task.steps, dtype=torch.float64, device=work.where)
    code = model.encode(image.x, image.y)
    rows = []
    for label in [image.y.new_tensor([i]) for i in labels] or [image.y]:
        for d in order:
            z = code.expand(task.steps, -1).clone()
            z[:, d] = (low[d] + place * (high[d] - low[d])).to(z)
            rows.append(model.decode(z, label.expand(task.steps)).float().cpu())
    images = torch.stack(rows)  # (classes · dimensions, steps, C, H, W)
    of_rows = row_labels(known, order)
    if labels:
        of_rows = [f"{short(work.class_names[i])}: {row}" for i in labels for row in of_rows]
    work.out.file("traversals.png", labelled("traversals", images, "", of_rows).png)
    work.out.file("traversals.gif", gif(list(images.transpose(0, 1)), columns=5))
    return {}


def row_labels(known: Dimensions, order: list[int]) -> list[str]:
    """Of each row: the dimension, and its KL in nats or the variance of its code."""
    if known.kl is None:
        return [f"z[{d}], variance {float(known.std[d]) ** 2:.2g}" for d in order]
    return [f"z[{d}], KL {float(known.kl[d]):.2f}" for d in order]


def _range(work: Work, known: Dimensions) -> tuple[torch.Tensor, torch.Tensor]:
    """Lowest and highest value of each dimension, (D,) each."""
    width, kind = work.task.width, work.task.range or ("posterior" if work.model.prior is None else "prior")
    if kind == "posterior":
        return known.mean - width * known.std, known.mean + width * known.std
    if work.model.prior is None:
        raise UserError(f"range=prior: model={work.model.config.name} has no prior; give range=posterior")
    mean, covariance = work.model.prior.moments(known.mean)
    std = covariance.diagonal().sqrt()
    return mean - width * std, mean + width * std


def _write(work: Work, known: Dimensions, order: list[int]) -> None:
    """dimensions.csv: all of them, those that are shown first."""
    rest = [d for d in range(len(known.mean)) if d not in set(order)]
    with work.out.rows("dimensions.csv", ["dimension", "row", "kl", "mean", "std"]) as rows:
        for i, d in enumerate([*order, *rest]):
            kl = None if known.kl is None else float(known.kl[d])
            rows.add([d, i if i < len(order) else None, kl, float(known.mean[d]), float(known.std[d])])
