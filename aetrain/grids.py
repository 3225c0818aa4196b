"""Image grids: what a person looks at to see what a model has learned."""

from __future__ import annotations

import io
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from aetrain.data import Splits, to_unit
from aetrain.models import Autoencoder
from aetrain.noise import mix

ROWS = COLUMNS = 8
CODES = 10_000  # training codes to which a Gaussian is fitted


@dataclass(frozen=True)
class Grid:
    name: str
    png: bytes
    height: int  # pixels
    width: int


@torch.no_grad()
def make_grids(model: Autoencoder, splits: Splits, seed: int) -> list[Grid]:
    """Reconstructions of the first images held out, and samples. The same images and noise every time."""
    was_training = model.training
    model.eval()
    try:
        with model.noise.fixed(mix(seed, "grids")):
            name, samples = sample(model, splits.train.images, ROWS * COLUMNS)
            held_out = splits.val if len(splits.val) else splits.test
            return [_grid("reconstructions", reconstructions(model, held_out.images)), _grid(name, samples)]
    finally:
        model.train(was_training)


def reconstructions(model: Autoencoder, images: Tensor) -> Tensor:
    """A row of originals, one of corrupted images where the model denoises, one of reconstructions, four times over.
    images: uint8 (N, C, H, W) -> (rows, columns, C, H, W) in [0, 1]."""
    columns = min(COLUMNS, len(images))
    x = to_unit(images[: min(4, len(images) // columns) * columns])
    corrupted = model.corrupt(x)
    shown = [x, model.decode(model.encode(corrupted))]
    if corrupted is not x:
        shown.insert(1, corrupted)
    rows = torch.stack([part.unflatten(0, (-1, columns)) for part in shown], dim=1)  # (groups, kinds, columns, C, H, W)
    return rows.flatten(0, 1)


def sample(model: Autoencoder, train_images: Tensor, n: int) -> tuple[str, Tensor]:
    """("samples", images) from the prior; for a model without one ("samples_gaussian", images), decoded from a
    Gaussian fitted to training codes (ex-post density estimation, Ghosh et al. 2020). Images: (n, C, H, W)."""
    if model.has_prior:
        return "samples", model.sample(n)
    codes = torch.cat([model.encode(to_unit(part)) for part in train_images[:CODES].split(1000)])  # (N, D)
    # mean + Cᵀε/√N with standard normal ε: a draw with the codes' own covariance, without factorising it.
    centred = codes - codes.mean(0)
    epsilon = model.noise.randn_like(codes.new_empty(n, len(codes)))
    return "samples_gaussian", model.decode(codes.mean(0) + epsilon @ centred / len(codes) ** 0.5)


def _grid(name: str, images: Tensor) -> Grid:
    """images: (rows, columns, C, H, W) or (n, C, H, W), shown in rows of COLUMNS, two pixels apart."""
    if images.ndim == 4:
        images = images.unflatten(0, (-1, min(COLUMNS, len(images))))
    rows, columns, channels, height, width = images.shape
    pixels = (
        (images.float().clamp(0, 1) * 255).round().to(torch.uint8).expand(-1, -1, 3 if channels == 1 else -1, -1, -1)
    )
    gap = 2
    canvas = torch.full((3, rows * (height + gap) + gap, columns * (width + gap) + gap), 128, dtype=torch.uint8)
    for r in range(rows):
        for c in range(columns):
            top, left = gap + r * (height + gap), gap + c * (width + gap)
            canvas[:, top : top + height, left : left + width] = pixels[r, c].cpu()
    buffer = io.BytesIO()
    Image.fromarray(canvas.permute(1, 2, 0).numpy()).save(buffer, "PNG")
    return Grid(name, buffer.getvalue(), canvas.shape[1], canvas.shape[2])
