"""task=embed: the codes of images as a table, as a picture and for TensorBoard's projector."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from aetrain.data.split import UNLABELLED
from aetrain.evaluation.probes import pca
from aetrain.pictures.scatter import scatter
from aetrain.pictures.sprite import most as most_in_sprite
from aetrain.tasks import projector
from aetrain.tasks.embeddings import Columns, Portion, table
from aetrain.tasks.work import Work

log = logging.getLogger(__name__)

SHOWN = 10_000  # points of the picture


@torch.no_grad()
def run(work: Work) -> dict[str, float]:
    """embeddings.<format>, written as it comes; scatter.png; projector/."""
    task, model, split = work.task, work.model, work.split
    n = min(len(split), task.n or len(split))
    factors = work.factors
    columns = Columns(n, int(torch.tensor(model.code_shape).prod()), factors, work.classes)
    kept, images = _Kept(SHOWN), _Kept(min(projector.MOST, most_in_sprite(split.image_shape)))
    with table(work.out, task.format, columns) as rows:
        for x, y, start in work.chunks(split, n):
            drawn = model.encode(x, y) if task.z == "mean" else model.draw_code(x, y)
            code = drawn.flatten(1).float().cpu()
            index = torch.arange(start, start + len(x), device=split.device)
            of = split.factors(index).cpu() if factors else torch.empty(len(x), 0, dtype=torch.int64)
            names = split.names(index)
            rows.add(Portion(names, y.cpu().numpy(), code.numpy(), of.numpy()))
            kept.add(names, y.cpu(), code)
            images.add([[n, *map(str, f)] for n, f in zip(names, of.tolist(), strict=True)], y.cpu(), x.cpu())
    codes, labels = kept.values, kept.labels
    work.out.file("scatter.png", _picture(codes, labels, work.classes, n))
    if task.projector:
        shown = len(images.values)
        known = [[name, columns.class_name(label), *of]
                 for (name, *of), label in zip(images.about, images.labels.tolist(), strict=True)]  # fmt: skip
        projector.write(work.out, codes[:shown], known, ["filename", "class", *factors], images.values)
        log.info("tensorboard --logdir %s", work.out.folder / projector.FOLDER)
    return {"images": n, "embedding_size": columns.code}


def _picture(codes: Tensor, labels: Tensor, classes: tuple[str, ...], total: int) -> bytes:
    size = codes.shape[1]
    axes = ("first number of the code", "second number of the code")
    title = f"{size}-dimensional codes"
    if size == 1:
        codes, axes = torch.cat([codes, torch.arange(len(codes))[:, None]], 1), ("the code", "image")
    elif size > 2:
        points, _ = pca(codes, codes, 2)
        spread = codes.double().var(0, correction=0).sum()
        shares = points.double().var(0, correction=0) / spread if spread > 0 else torch.zeros(points.shape[1])
        axes = tuple(f"component {i} ({100 * share:.0f} % of the variance)" for i, share in enumerate(shares, 1))
        codes, title = points, f"{size}-dimensional codes, by PCA"
    more = f", the first {len(codes):,} of {total:,} images" if len(codes) < total else f", {total:,} images"
    return scatter(codes.numpy(), labels.numpy(), classes, title + more, axes)


class _Kept:
    """The first `most` of what comes."""

    def __init__(self, most: int):
        self._most, self.about = most, list[Any]()
        self._labels: list[Tensor] = []
        self._values: list[Tensor] = []

    def add(self, about: list[Any], labels: Tensor, values: Tensor) -> None:
        room = self._most - len(self.about)
        if room > 0:
            self.about += about[:room]
            self._labels.append(labels[:room])
            self._values.append(values[:room].clone())

    @property
    def labels(self) -> Tensor:
        return torch.cat(self._labels) if self._labels else torch.full((0,), UNLABELLED)

    @property
    def values(self) -> Tensor:
        return torch.cat(self._values)
