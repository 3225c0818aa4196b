"""Are the numbers of a code independent, and does each stand for one factor? What a training says of its test split."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from aetrain import aggregate
from aetrain.data.split import Split
from aetrain.evaluation.terms import PAIRS, evaluating
from aetrain.models import Autoencoder

AT_ONCE = 500  # images
DIMENSIONS = 64  # of a code, up to which all PAIRS are taken: the time grows with both


def independence(model: Autoencoder, split: Split, factors: Sequence[str], seed: int) -> dict[str, float]:
    """{"total_correlation": of models with a posterior that do not measure it as a term, "mig": where the images'
    factors, by name, are known}."""
    found = {}
    if model.has_posterior and "total_correlation" not in model.pair_terms:
        found["total_correlation"] = total_correlation(model, split, seed)
    if factors:
        from aetrain.evaluation.disentanglement import mig_of_model  # scikit-learn takes a second to import

        found |= mig_of_model(model, split)
    return found


@torch.no_grad()
def total_correlation(model: Autoencoder, split: Split, seed: int, most: int | None = None) -> float:
    """KL(q(z) ‖ Π_d q(z_d)) of the aggregate posterior in nats, estimated as in β-TCVAE (Chen et al. 2018, stratified)
    from a draw of the posterior of each of the first `most` images, by default PAIRS, fewer of large codes; always in
    float32."""
    parts = []
    most = most or int(PAIRS * min(1.0, DIMENSIONS / math.prod(model.code_shape)) ** 0.5)
    with evaluating(model):
        for x, y in split.chunks(AT_ONCE, most):
            with model.noise.fixed(seed, sum(len(z) for z, _, _ in parts)):
                mu, logvar = model.posterior(x, y)
                parts.append((mu + torch.exp(0.5 * logvar) * model.noise.randn_like(mu), mu, logvar))
    z, mu, logvar = (torch.cat(part) for part in zip(*parts, strict=True))
    log_weights = aggregate.stratified(len(z), model.facts.train_size, z)
    return float(aggregate.total_correlation(z, mu, logvar, log_weights).mean(dtype=torch.float64))
