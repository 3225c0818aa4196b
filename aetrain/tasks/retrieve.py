"""task=retrieve: the nearest images in the space of codes."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain.data.split import UNLABELLED, Split
from aetrain.errors import UserError
from aetrain.evaluation.codes import codes
from aetrain.evaluation.neighbours import Neighbours, nearest, precision_at_k
from aetrain.pictures.grids import grid
from aetrain.tasks.work import Work

AT_ONCE = 1000  # queries


@torch.no_grad()
def run(work: Work) -> dict[str, float]:
    """neighbours.csv, a row for each image and neighbour; neighbours.png: images, each followed by its neighbours. An
    image that is itself among those that are searched is no neighbour of its own."""
    task, split, base = work.task, work.split, getattr(work.splits, work.task.among)
    own = work.asked.images is None and work.split_name == task.among
    if task.k > len(base) - own:
        raise UserError(f"k={task.k}: there are {len(base) - own} images in among={task.among}; give fewer")
    with work.counted(base, f"{task.among} images") as counted:
        known = codes(work.model, counted, at_once=work.batch_size)
    with work.counted(split, "images") as counted:
        asked = codes(work.model, counted, at_once=work.batch_size)
    found = nearest(asked.z, known.z, task.k, torch.arange(len(asked.z), device=asked.z.device) if own else None)
    _write(work, base, known.y, asked.y, found)
    n = min(task.shown, len(split))
    work.out.file("neighbours.png", grid("neighbours", _shown(split, base, found.index[:n]), enlarge=True).png)
    same_names = work.asked.images is None or work.classes == work.splits.classes
    labelled = asked.y != UNLABELLED
    if not same_names or not labelled.any() or not (known.y != UNLABELLED).all():
        return {"mean_distance": float(found.distance.mean())}
    precision = precision_at_k(asked.y[labelled], found.index[labelled], known.y)
    return {f"precision_at_{task.k}": precision, "precision_by_chance": _chance(asked.y[labelled], known.y),
            "mean_distance": float(found.distance.mean())}  # fmt: skip


def _chance(asked: Tensor, known: Tensor) -> float:
    """The precision of images that are drawn blindly."""
    share = torch.bincount(known, minlength=int(asked.max()) + 1).double() / len(known)
    return float(share[asked].mean())


def _shown(split: Split, base: Split, index: Tensor) -> Tensor:
    """(n, 1 + k, C, H, W): each image and its neighbours."""
    neighbours = base.gather(index.flatten()).x.unflatten(0, index.shape)
    return torch.cat([split.first(len(index)).x.unsqueeze(1), neighbours], dim=1)


def _write(work: Work, base: Split, known: Tensor, asked: Tensor, found: Neighbours) -> None:
    header = ["filename", "class", "rank", "neighbour", "neighbour_class", "distance"]
    with work.out.rows("neighbours.csv", header) as rows:
        for start in range(0, len(asked), AT_ONCE):
            portion = slice(start, start + AT_ONCE)
            names, near = work.names(start, len(asked[portion])), found.index[portion]
            near_names = iter(base.names(near.flatten()))
            for i, (name, label) in enumerate(zip(names, asked[portion].tolist(), strict=True)):
                for rank in range(near.shape[1]):
                    other = int(known[near[i, rank]])
                    rows.add([name, work.class_name(label), rank + 1, next(near_names),
                              work.splits.classes[other] if 0 <= other < len(work.splits.classes) else "",
                              float(found.distance[start + i, rank])])  # fmt: skip
