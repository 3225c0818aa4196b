"""What each dimension of the code stands for."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain.models import Autoencoder

TRAVERSED = 32  # dimensions of the code, at most
STEPS = 11


def traversals(model: Autoencoder, x: Tensor, y: Tensor | None = None) -> Tensor:
    """What each dimension of the code does to one image: a row per dimension, in index order, in which its value goes
    from −3 to 3 standard deviations of the prior about its mean, while the others stay at the image's own; of a model
    without a prior from −3 to 3. x: (1, C, H, W), y: (1,) -> (rows, 11, C, H, W)."""
    values = torch.linspace(-3, 3, STEPS, device=x.device)
    code = model.encode(x, y)  # (1, D)
    rows = min(code.shape[1], TRAVERSED)
    z = code.expand(rows, STEPS, -1).clone()  # (rows, 11, D)
    dimension = torch.arange(rows, device=x.device)
    if model.prior is not None:
        mean, covariance = model.prior.moments(x)
        values = mean[:rows, None] + values * covariance.diagonal().sqrt()[:rows, None]  # (rows, 11)
    z[dimension, :, dimension] = values.to(z.dtype)
    labels = None if y is None else y.expand(rows * STEPS)
    return model.decode(z.flatten(0, 1), labels).unflatten(0, (rows, -1))
