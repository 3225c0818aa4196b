"""What is told of samples."""

from __future__ import annotations

import math

import torch

from aetrain.data.split import Split
from aetrain.evaluation.neighbours import knn_accuracy
from aetrain.evaluation.terms import evaluating
from aetrain.models import Autoencoder

NEIGHBOURS = 5
MOST = 50_000  # training images
ROOM = 1 << 29  # bytes that they may take
AT_ONCE = 1000


@torch.no_grad()
def sample_accuracy(model: Autoencoder, train: Split, labels: torch.Tensor, seed: int) -> float:
    """The share of a conditional model's samples, one for each label, that the 5 nearest training images, by their
    pixels and among the first MOST or as many as ROOM holds, take for the class that was drawn (a classifier of real
    images judges those that were made: Shmelkov et al. 2018, GAN-test). labels: (N,)."""
    drawn = []
    with evaluating(model):
        for start in range(0, len(labels), AT_ONCE):
            with model.noise.fixed(seed, start):
                drawn.append(model.sample(len(part := labels[start : start + AT_ONCE]), part).flatten(1).float())
    most = max(AT_ONCE, min(MOST, ROOM // (4 * math.prod(train.image_shape))))
    known = [(x.flatten(1), y) for x, y in train.chunks(AT_ONCE, most)]
    images, classes = (torch.cat(column) for column in zip(*known, strict=True))
    return knn_accuracy((images, classes), (torch.cat(drawn), labels), min(NEIGHBOURS, len(images)))
