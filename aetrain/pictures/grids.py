"""Which grids a run draws, and how images are laid out in one."""

from __future__ import annotations

import io
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from PIL.PngImagePlugin import PngInfo
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
TILES = "tiles"  # the PNG's text that says rows x columns, for whoever cuts a grid up again


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


def grid(name: str, images: Tensor) -> Grid:
    """images: (rows, columns, C, H, W) or (n, C, H, W), shown in rows of COLUMNS, two pixels apart."""
    if images.ndim == 4:
        images = images.unflatten(0, (-1, min(COLUMNS, len(images))))
    channels = images.shape[2]
    pixels = (images.float().clamp(0, 1) * 255).round().to(torch.uint8)
    tiles = F.pad(pixels, (0, GAP, 0, GAP), value=128).permute(2, 0, 3, 1, 4)  # (C, rows, H + gap, columns, W + gap)
    canvas = F.pad(tiles.flatten(3, 4).flatten(1, 2), (GAP, 0, GAP, 0), value=128)
    canvas = canvas.permute(1, 2, 0).squeeze(2).cpu()  # (H, W) or (H, W, C)
    layout, buffer = PngInfo(), io.BytesIO()
    layout.add_text(TILES, f"{images.shape[0]}x{images.shape[1]}")
    # At level 3 half the time of 6, a tenth more bytes.
    Image.fromarray(canvas.numpy()).save(buffer, "PNG", compress_level=3, pnginfo=layout)
    return Grid(name, buffer.getvalue(), canvas.shape[0], canvas.shape[1], channels)
