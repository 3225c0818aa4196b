"""Nearest neighbours, and what their labels say."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

DISTANCES_AT_ONCE = 1 << 24  # 64 MB of float32


class Neighbours(NamedTuple):
    """distance, index: (N, k), the nearest first."""

    distance: Tensor
    index: Tensor


def nearest(queries: Tensor, among: Tensor, k: int, own: Tensor | None = None) -> Neighbours:
    """The k nearest of `among`, (M, D), by Euclidean distance, to each of `queries`, (N, D). own: (N,), the row of
    `among` that a query itself is, and that is left out. Memory does not depend on N. Raises a ValueError where there
    are fewer than k."""
    available = len(among) - (own is not None)
    if not 1 <= k <= available:
        raise ValueError(f"k={k} of {available}")
    centre = among.mean(0)  # distances as differences of squares lose the fewest digits around it
    among = among - centre
    squares = among.square().sum(1)
    found = []
    portion = max(1, DISTANCES_AT_ONCE // len(among))
    for start in range(0, len(queries), portion):
        part = queries[start : start + portion] - centre
        distances = torch.addmm(squares, part, among.T, alpha=-2)  # less the query's own square, the same in a row
        if own is not None:
            distances.scatter_(1, own[start : start + portion, None], torch.inf)
        index = distances.topk(k, largest=False).indices
        # Of the k that are kept, exactly, and in the order of the exact ones.
        exact = (part.unsqueeze(1) - among[index]).norm(dim=2)
        distance, order = exact.sort(dim=1, stable=True)
        found.append(Neighbours(distance, index.gather(1, order)))
    return Neighbours(*(torch.cat(column) for column in zip(*found, strict=True)))


def vote(labels: Tensor) -> Tensor:
    """The most frequent label of a query's neighbours; of equally frequent ones, that of the nearest. labels: (N, k),
    the nearest first -> (N,)."""
    alike = labels.unsqueeze(2) == labels.unsqueeze(1)  # (N, k, k)
    return labels.gather(1, alike.sum(2).argmax(1, keepdim=True)).squeeze(1)  # argmax: the first, the nearest


def knn_accuracy(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], k: int = 5) -> float:
    """The share of test points whose label is that of the vote of their k nearest training points (Euclidean).
    train, test: points (N, D) and labels (N,)."""
    found = nearest(test[0], train[0], k)
    return float((vote(train[1][found.index]) == test[1]).double().mean())


def precision_at_k(labels: Tensor, neighbours: Tensor, label_of: Tensor) -> float:
    """The mean share of the k that were retrieved which have the query's label. labels: (N,) of the queries,
    neighbours: (N, k), rows of label_of (M,)."""
    return float((label_of[neighbours] == labels.unsqueeze(1)).double().mean())
