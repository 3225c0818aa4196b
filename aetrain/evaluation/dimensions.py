"""What is known of each dimension of a code over a split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aetrain.data.split import Split
from aetrain.evaluation.terms import evaluating
from aetrain.models import Autoencoder

MOST = 10_000  # images
AT_ONCE = 1000


@dataclass(frozen=True)
class Dimensions:
    """Of codes, means of the posterior where there is one: mean and std over images, (D,) each, float64; kl: the mean
    KL from the prior in nats, (D,), or None."""

    mean: Tensor
    std: Tensor
    kl: Tensor | None

    def order(self, by: str) -> list[int]:
        """Dimensions by falling `kl` or `variance`, or by `index`."""
        if by == "index":
            return list(range(len(self.mean)))
        values = self.kl if by == "kl" else self.std
        return values.argsort(descending=True, stable=True).tolist()


@torch.no_grad()
def dimensions(model: Autoencoder, split: Split, most: int = MOST) -> Dimensions:
    """Over the first `most` images."""
    codes, kls = [], []
    with evaluating(model):
        for x, y in split.chunks(AT_ONCE, most):
            if model.has_posterior:
                mu, logvar = model.posterior(x, y)
                kls.append(model.prior.kl_per_dimension(mu, logvar).double())
                codes.append(mu.double())
            else:
                codes.append(model.encode(x, y).double())
    z = torch.cat(codes)
    return Dimensions(z.mean(0), z.std(0, correction=0), torch.cat(kls).mean(0) if kls else None)
