"""The cat: z = 1 where an image x shows one. log p(x) = ELBO + KL(q ‖ p(z | x)), whatever q says."""

import math
from pathlib import Path

import torch
from torch import Tensor

from aetrain.losses import bernoulli_kl
from aetrain.pictures.figures import drawn_png, figure_of

PRIOR = 1 / 3  # the text's: a third of all images in existence show cats
LIKELIHOOD = {1: 0.08, 0: 0.01}  # p(x | z) of this image, made up


def evidence() -> float:
    """p(x) = Σ_z p(x | z) p(z)."""
    return LIKELIHOOD[1] * PRIOR + LIKELIHOOD[0] * (1 - PRIOR)


def posterior() -> float:
    """p(z = 1 | x), by Bayes' theorem."""
    return LIKELIHOOD[1] * PRIOR / evidence()


def elbo(q: Tensor) -> Tensor:
    """E_q[log p(x | z)] − KL(q ‖ p(z)) in nats, of each q(z = 1 | x)."""
    recon = q * math.log(LIKELIHOOD[1]) + (1 - q) * math.log(LIKELIHOOD[0])
    return recon - bernoulli_kl(q, torch.tensor(PRIOR, dtype=q.dtype))


def gap(q: Tensor) -> Tensor:
    """KL(q ‖ p(z | x)) in nats, of each q(z = 1 | x)."""
    return bernoulli_kl(q, torch.tensor(posterior(), dtype=q.dtype))


def picture() -> bytes:
    figure, ax = figure_of(6, 4)
    q = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
    bound = elbo(q)
    ax.plot(q, bound, label="ELBO")
    ax.axhline(math.log(evidence()), color="#d62728", linewidth=1, label="log p(x)")
    ax.fill_between(q, bound, math.log(evidence()), color="#cccccc", label="KL(q ‖ p(z | x))")
    ax.axvline(posterior(), color="#999999", linewidth=1, linestyle=":", label="exact posterior")
    ax.set(xlabel="q(z = 1 | x)", ylabel="nats")
    ax.legend(frameon=False, loc="lower center")
    return drawn_png(figure)


if __name__ == "__main__":
    print(f"log p(x) = {math.log(evidence()):.4f}, p(cat | x) = {posterior():.4f}")
    q = torch.tensor([0.2, 0.5, posterior(), 0.99], dtype=torch.float64)
    for value, bound, left in zip(q, elbo(q), gap(q), strict=True):
        print(f"q(cat) = {value:.4f}: ELBO {bound:.4f} + gap {left:.4f} = {bound + left:.4f}")
    Path("lower_bound.png").write_bytes(picture())
