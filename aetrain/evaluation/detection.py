"""How well a score tells two kinds of images apart."""

from __future__ import annotations

import torch
from torch import Tensor


def auroc(normal: Tensor, anomalous: Tensor) -> float:
    """Area under the ROC curve: the share of pairs in which the anomalous image has the higher score, a tie being half
    of one (Mann & Whitney 1947; Hanley & McNeil 1982). Scores (N,) and (M,). NaN where either is empty."""
    if not len(normal) or not len(anomalous):
        return float("nan")
    normal = normal.double().sort().values
    anomalous = anomalous.double()
    below = torch.searchsorted(normal, anomalous, side="left")
    up_to = torch.searchsorted(normal, anomalous, side="right")
    return float((below + up_to).double().mean()) / (2 * len(normal))


def average_precision(normal: Tensor, anomalous: Tensor) -> float:
    """Σ (recall_n − recall_n−1) · precision_n over the thresholds n, from the highest score down, anomalous images
    being those to find; images of one score come in together. By chance: the share of anomalous images. Scores (N,) and
    (M,). NaN where there are no anomalous images."""
    if not len(anomalous):
        return float("nan")
    scores = torch.cat([anomalous, normal]).double()
    found = torch.zeros_like(scores)
    found[: len(anomalous)] = 1
    order = scores.argsort(descending=True)
    scores, hits = scores[order], found[order].cumsum(0)
    last = torch.ones_like(scores, dtype=torch.bool)  # of the images with its score
    last[:-1] = scores[1:] != scores[:-1]
    hits, taken = hits[last], (last.nonzero().flatten() + 1)
    gained = torch.diff(hits, prepend=hits.new_zeros(1)) / len(anomalous)
    return float((gained * hits / taken).sum())


def threshold(normal: Tensor, false_alarms: float) -> float:
    """The score above which an image counts as anomalous, so that of normal images at most the share `false_alarms`
    does: the least such score among theirs. (N,), N ≥ 1."""
    kept = len(normal) - int(false_alarms * len(normal))
    return float(normal.double().sort().values[kept - 1])
