"""task=retrieve: the nearest images in the space of codes."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain.console import CountBar
from aetrain.data.split import UNLABELLED, Split
from aetrain.errors import UserError
from aetrain.evaluation.codes import codes
from aetrain.evaluation.neighbours import Neighbours, nearest, precision_at_k
from aetrain.pictures.grids import picture
from aetrain.tasks.work import Work

AT_ONCE = 2000  # images


@torch.no_grad()
def run(work: Work) -> dict[str, float]:
    """neighbours.csv, a row for each image and neighbour; neighbours.png: images, each followed by its neighbours. An
    image that is itself among those that are searched is not its own neighbour."""
    task, split, base = work.task, work.split, getattr(work.splits, work.task.among)
    own = work.asked.images is None and work.split_name == task.among
    if task.k > len(base) - own:
        raise UserError(f"k={task.k}: there are {len(base) - own} images in among={task.among}; give fewer")
    with work.counted(base, f"{task.among} images") as counted:
        known = codes(work.model, counted, at_once=work.batch_size)
    with work.counted(split, "images") as counted:
        asked = codes(work.model, counted, at_once=work.batch_size)
    found = _nearest(asked.z, known.z, task.k, own)
    _write(work, base, known.y, asked.y, found)
    n = min(task.shown, len(split))
    caption = f"Left an image, right of it the nearest of {len(base):,} {task.among} images, the nearest first."
    work.out.file("neighbours.png", picture(_shown(split, base, found.index[:n]), caption))
    same_names = work.asked.images is None or work.classes == work.splits.classes
    labelled = asked.y != UNLABELLED
    if not same_names or not labelled.any() or not (known.y != UNLABELLED).all():
        return {"mean_distance": float(found.distance.mean())}
    precision = precision_at_k(asked.y[labelled], found.index[labelled], known.y)
    return {f"precision_at_{task.k}": precision, "precision_by_chance": _chance(asked.y[labelled], known.y),
            "mean_distance": float(found.distance.mean())}  # fmt: skip


def _nearest(asked: Tensor, known: Tensor, k: int, own: bool) -> Neighbours:
    """Of every image in turn, with a progress bar. own: they are the same images."""
    parts = []
    with CountBar(len(asked), "images") as bar:
        for start in range(0, len(asked), AT_ONCE):
            part = asked[start : start + AT_ONCE]
            places = torch.arange(start, start + len(part), device=part.device)
            parts.append(nearest(part, known, k, places if own else None))
            bar.advance(len(part))
    return Neighbours(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _chance(asked: Tensor, known: Tensor) -> float:
    """The precision of images that are drawn at random."""
    share = torch.bincount(known, minlength=int(asked.max()) + 1).double() / len(known)
    return float(share[asked].mean())


def _shown(split: Split, base: Split, index: Tensor) -> Tensor:
    """(n, 1 + k, C, H, W): each image and its neighbours."""
    neighbours = base.gather(index.flatten()).x.unflatten(0, index.shape)
    return torch.cat([split.first(len(index)).x.unsqueeze(1), neighbours], dim=1)


def _write(work: Work, base: Split, known: Tensor, asked: Tensor, found: Neighbours) -> None:
    classes = work.splits.classes
    header = ["filename", "class", "rank", "neighbour", "neighbour_class", "distance"]
    with work.out.rows("neighbours.csv", header) as rows:
        for start in range(0, len(asked), AT_ONCE):
            portion = slice(start, start + AT_ONCE)
            index = found.index[portion]  # (b, k)
            names = iter(base.names(index.flatten()))
            queries = zip(work.names(start, len(index)), asked[portion].tolist(), known[index].tolist(),
                          found.distance[portion].tolist(), strict=True)  # fmt: skip
            for name, label, labels, distances in queries:
                for rank, (other, distance) in enumerate(zip(labels, distances, strict=True), 1):
                    other_class = classes[other] if 0 <= other < len(classes) else ""
                    rows.add([name, work.class_name(label), rank, next(names), other_class, distance])
