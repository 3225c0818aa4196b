"""Classes told apart by a conditional model's likelihoods."""

from __future__ import annotations

import torch

from aetrain.data.split import Split
from aetrain.evaluation.nll import log_importance_mean
from aetrain.evaluation.terms import evaluating, split_statistics
from aetrain.models import Autoencoder
from aetrain.noise import BLOCK

SAMPLES = 16  # importance samples per image and class: the differences between classes are of tens of nats


@torch.no_grad()
def accuracy_by_likelihood(model: Autoencoder, split: Split, seed: int, samples: int = SAMPLES) -> float:
    """The share of images whose own class is the one with the highest log p(x | y), all classes being equally likely
    before; each estimated from importance samples that are drawn with the same noise for all classes."""
    with evaluating(model), model.split_statistics(split_statistics(model, split, BLOCK, seed)):
        right, images = torch.zeros((), dtype=torch.int64, device=split.device), 0
        for x, y in split.chunks(BLOCK):
            found = []
            for label in range(model.facts.n_classes):
                with model.noise.fixed(seed, images):
                    found.append(log_importance_mean(model, x, torch.full_like(y, label), samples))
            right += (torch.stack(found).argmax(0) == y).sum()
            images += len(x)
        return int(right) / images
