"""Which grids a run draws, and how images are laid out in one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from aetrain.data.split import Splits
from aetrain.evaluation.terms import evaluating
from aetrain.models import Autoencoder
from aetrain.nets.mlp import MLPEncoder
from aetrain.noise import mix
from aetrain.pictures.filters import filters
from aetrain.pictures.reconstructions import reconstructions
from aetrain.pictures.samples import CODES, samples, samples_gaussian
from aetrain.pictures.traversals import traversals

ROWS = COLUMNS = 8
GAP = 2  # pixels between images
ENLARGED = 64  # pixels of the longer side of a small image, about, where it is enlarged


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
    shown, first = splits.held_out.first(4 * COLUMNS), splits.test.first(1)
    n = ROWS * COLUMNS
    labels = torch.arange(n, device=splits.train.device) % max(splits.n_classes, 1)  # every class in turn
    with evaluating(model), model.noise.fixed(mix(seed, "grids")):
        if model.prior is not None:
            drawn = grid("samples", samples(model, labels))
        else:
            drawn = grid("samples_gaussian", samples_gaussian(model, splits.train.chunks(1000, CODES), labels))
        grids = [grid("reconstructions", reconstructions(model, *shown, COLUMNS)), drawn]
        if model.prior is not None:
            grids.append(grid("traversals", traversals(model, *first)))
        if isinstance(model.encoder, MLPEncoder):
            weight = whole_rows(model.encoder.layers[0].weight[:n])
            grids.append(grid("filters", filters(weight, splits.train.image_shape)))
        return grids


def whole_rows(rows: Tensor) -> Tensor:
    """As many of them as fill rows of COLUMNS; all if they do not fill one."""
    return rows[: len(rows) // COLUMNS * COLUMNS or None]


def grid(name: str, images: Tensor, enlarge: bool = False) -> Grid:
    """images: (rows, columns, C, H, W) or (n, C, H, W), shown in rows of COLUMNS, two pixels apart. enlarge: small
    images by a whole number, so that a person sees their pixels."""
    if images.ndim == 4:
        images = images.unflatten(0, (-1, min(COLUMNS, len(images))))
    if enlarge:
        images = enlarged(images)
    channels = images.shape[2]
    pixels = to_bytes(images)
    tiles = F.pad(pixels, (0, GAP, 0, GAP), value=128).permute(2, 0, 3, 1, 4)  # (C, rows, H + gap, columns, W + gap)
    canvas = F.pad(tiles.flatten(3, 4).flatten(1, 2), (GAP, 0, GAP, 0), value=128)
    return Grid(name, png(canvas), canvas.shape[1], canvas.shape[2], channels)


def beside(parts: Sequence[Tensor], columns: int) -> Tensor:
    """Rows of one part above rows of the next, the same images below each other; grey where the last row is not full.
    parts: each (N, C, H, W) in [0, 1] -> (rows, columns, C, H, W)."""
    columns = min(columns, len(parts[0]))
    missing = -len(parts[0]) % columns
    full = [F.pad(part.float(), (0, 0) * (part.ndim - 1) + (0, missing), value=0.5) for part in parts]
    return torch.stack([part.unflatten(0, (-1, columns)) for part in full], dim=1).flatten(0, 1)


def enlarged(images: Tensor) -> Tensor:
    """Every pixel a square of so many that an image has about ENLARGED of them. (…, C, H, W) in the same form."""
    factor = max(1, round(ENLARGED / max(images.shape[-2:])))
    return images.repeat_interleave(factor, -1).repeat_interleave(factor, -2)


def to_bytes(images: Tensor) -> Tensor:
    """[0, 1] -> uint8."""
    return (images.float().nan_to_num(0.5).clamp(0, 1) * 255).round().to(torch.uint8)


def png(image: Tensor) -> bytes:
    """A PNG file. image: (C, H, W), uint8 or in [0, 1]."""
    pixels = to_bytes(image) if image.is_floating_point() else image
    buffer = io.BytesIO()
    picture = pixels.permute(1, 2, 0).squeeze(2).cpu().numpy()  # (H, W) or (H, W, C)
    Image.fromarray(picture).save(buffer, "PNG", compress_level=3)  # half the time of 6, a tenth more bytes
    return buffer.getvalue()
