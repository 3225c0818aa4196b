"""How the code answers the image: how much it moves, and how few of its units it uses."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain.data.split import Split
from aetrain.evaluation.terms import evaluating
from aetrain.models import Autoencoder
from aetrain.models.contractive import jacobian_squared_norm

IMAGES = 256  # of which the Jacobian's norm is taken: a backward pass for each unit of the code
AT_ONCE = 64


def jacobian_norm(model: Autoencoder, split: Split, most: int = IMAGES) -> float:
    """‖∂code/∂x‖_F, the mean over the first `most` images; of the posterior's mean, for a model that has one."""
    norms = []
    with evaluating(model):
        for x, y in split.chunks(AT_ONCE, most):
            norm = jacobian_squared_norm(lambda x, y=y: model.encode(x, y).flatten(1), x)
            norms.append(norm.detach().sqrt().double())
    return float(torch.cat(norms).mean())


def hoyer(codes: Tensor) -> Tensor:
    """Sparsity of each code: (√D − ‖z‖₁ / ‖z‖₂) / (√D − 1), 0 where all are as large, 1 where one alone is not 0
    (Hoyer 2004, section 3.1); of a code that is 0 itself, 1. (N, D) -> (N,); 0 for D = 1."""
    root = codes.shape[1] ** 0.5
    if root == 1:
        return codes.new_zeros(len(codes))
    length = codes.norm(dim=1)
    ratio = torch.where(length > 0, codes.abs().sum(1) / length, 1.0)
    return (root - ratio) / (root - 1)
