"""Image grids: what a person looks at to see what a model has learned."""

from __future__ import annotations

import io
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from aetrain.data.split import Splits, to_unit
from aetrain.models import Autoencoder
from aetrain.nets.mlp import MLPEncoder
from aetrain.noise import mix

ROWS = COLUMNS = 8
GAP = 2  # pixels between images
TRAVERSED = 32  # dimensions of the code, at most
CODES = 10_000  # training codes to which a Gaussian is fitted


@dataclass(frozen=True)
class Grid:
    name: str
    png: bytes
    height: int  # pixels
    width: int
    channels: int  # 1 or 3


@torch.no_grad()
def make_grids(model: Autoencoder, splits: Splits, seed: int) -> list[Grid]:
    """Reconstructions of the first images held out, samples, and what the code's dimensions (of models with a prior)
    and the first layer's units (where it sees the whole image) stand for. The same images and noise every time."""
    was_training = model.training
    model.eval()
    try:
        with model.noise.fixed(mix(seed, "grids")):
            name, samples = sample(model, splits.train.images, ROWS * COLUMNS)
            held_out = splits.val if len(splits.val) else splits.test
            grids = [_grid("reconstructions", reconstructions(model, held_out.images)), _grid(name, samples)]
            if model.has_prior:
                grids.append(_grid("traversals", traversals(model, splits.test.images[:1])))
            if isinstance(model.encoder, MLPEncoder):
                weight = model.encoder.layers[0].weight
                grids.append(_grid("filters", filters(weight, splits.test.images.shape[1:])))
            return grids
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


def traversals(model: Autoencoder, image: Tensor) -> Tensor:
    """What each dimension of the code does to one image: a row per dimension, in index order, in which its value goes
    from −3 to 3 while the others stay at the image's own. image: uint8 (1, C, H, W) -> (rows, 11, C, H, W)."""
    values = torch.linspace(-3, 3, 11, device=image.device)
    code = model.encode(to_unit(image))  # (1, D)
    rows = min(code.shape[1], TRAVERSED)
    z = code.expand(rows, len(values), -1).clone()  # (rows, 11, D)
    dimension = torch.arange(rows, device=image.device)
    z[dimension, :, dimension] = values.to(z.dtype)
    return model.decode(z.flatten(0, 1)).unflatten(0, (rows, -1))


def filters(weight: Tensor, image_shape: tuple[int, int, int]) -> Tensor:
    """The weights of the first 64 units, by index: picked without looking, and the same ones in all runs that are
    compared. Each is scaled by its largest magnitude; 0 is mid-grey. weight: (units, C·H·W) -> (n, C, H, W)."""
    weight = weight[: ROWS * COLUMNS].float()
    weight = weight[: len(weight) // COLUMNS * COLUMNS or None]  # whole rows
    scale = weight.abs().amax(1, keepdim=True).clamp(min=torch.finfo(weight.dtype).tiny)
    return (0.5 + 0.5 * weight / scale).unflatten(1, tuple(image_shape))


def _grid(name: str, images: Tensor) -> Grid:
    """images: (rows, columns, C, H, W) or (n, C, H, W), shown in rows of COLUMNS, two pixels apart."""
    if images.ndim == 4:
        images = images.unflatten(0, (-1, min(COLUMNS, len(images))))
    channels = images.shape[2]
    pixels = (images.float().clamp(0, 1) * 255).round().to(torch.uint8)
    tiles = F.pad(pixels, (0, GAP, 0, GAP), value=128).permute(2, 0, 3, 1, 4)  # (C, rows, H + gap, columns, W + gap)
    canvas = F.pad(tiles.flatten(3, 4).flatten(1, 2), (GAP, 0, GAP, 0), value=128)
    canvas = canvas.permute(1, 2, 0).squeeze(2).cpu()  # (H, W) or (H, W, C)
    buffer = io.BytesIO()
    Image.fromarray(canvas.numpy()).save(buffer, "PNG", compress_level=3)  # half the time of 6, a tenth more bytes
    return Grid(name, buffer.getvalue(), canvas.shape[0], canvas.shape[1], channels)
