"""How codes and reconstructions answer a change of the image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from aetrain.data.split import Split
from aetrain.evaluation.terms import evaluating
from aetrain.models import Autoencoder
from aetrain.noise import Noise

IMAGES = 32  # whose Jacobians are taken as a whole


def singular_values(model: Autoencoder, split: Split, most: int = IMAGES) -> Tensor:
    """Of ∂code/∂x, falling: the mean over the first images, (min(D, pixels),). A contractive model has few that are
    large: the directions along the data (Rifai et al. 2011, section 5.4)."""
    found = []
    with evaluating(model):
        for batch in split.chunks(8, most):
            for one, label in zip(batch.x, batch.y.unsqueeze(1), strict=True):
                jacobian = torch.func.jacrev(lambda x, y=label: model.encode(x[None], y).flatten())(one)  # (D, C, H, W)
                found.append(torch.linalg.svdvals(jacobian.detach().flatten(1).double()))
    return torch.stack(found).mean(0)


@torch.no_grad()
def robustness(model: Autoencoder, split: Split, size: float, seed: int, most: int = 1000) -> dict[str, float]:
    """What Gaussian noise of a standard deviation `size` in each pixel does: the change of the code and that of the
    reconstruction, each relative to the spread of codes and reconstructions over images: 0 where nothing changes."""
    noise, start = Noise(), 0
    codes, moved, decoded, changed = [], [], [], []
    with evaluating(model):
        for x, y in split.chunks(256, most):
            with noise.fixed(seed, start):
                other = x + size * noise.randn_like(x)
            start += len(x)
            for images, z_parts, x_parts in ((x, codes, decoded), (other, moved, changed)):
                z = model.encode(images, y)
                z_parts.append(z.flatten(1).double())
                x_parts.append(model.decode(z, y).flatten(1).double())
    return {
        "code_change": _relative(torch.cat(codes), torch.cat(moved)),
        "recon_change": _relative(torch.cat(decoded), torch.cat(changed)),
    }


def _relative(before: Tensor, after: Tensor) -> float:
    spread = (before - before.mean(0)).square().sum()
    return float(((after - before).square().sum() / spread).sqrt()) if spread > 0 else float("nan")


@torch.no_grad()
def field(reconstruct: Callable[[Tensor], Tensor], steps: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """x̂ − x on a grid over the unit square, for points of the plane: where a denoiser sends them (Alain & Bengio 2014).
    Places and arrows, (steps², 2) each."""
    place = torch.linspace(0, 1, steps, device=like.device, dtype=like.dtype)
    points = torch.stack(torch.meshgrid(place, place, indexing="xy"), dim=2).flatten(0, 1)
    x = points[:, None, None, :]  # (steps², 1, 1, 2)
    return points, (reconstruct(x) - x).flatten(1)
