"""Which grids a run draws, and how images are laid out in one."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from aetrain.data.split import Splits
from aetrain.evaluation.terms import evaluating
from aetrain.models import Autoencoder
from aetrain.nets.mlp import MLPEncoder
from aetrain.noise import mix
from aetrain.pictures.filters import filters
from aetrain.pictures.reconstructions import reconstructions
from aetrain.pictures.samples import CODES, samples, samples_by_class, samples_by_position, samples_gaussian
from aetrain.pictures.traversals import traversals

ROWS = COLUMNS = 8
GAP = 2  # pixels between images
FONT = ImageFont.load_default(13)
CLASSES = 20  # rows of a conditional model's samples, at most
LETTERS = 24  # of a class's name left of its row
LINE, SPACE = 17, 8  # pixels: of a line of text, around it
ROW_LABELS = {2: ["original", "reconstruction"], 3: ["original", "corrupted", "reconstruction"]}
ENLARGED = 84  # pixels of the longer side of a small image, about, where it is enlarged


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
    and the units of a network of one layer stand for. The same images and noise every time."""
    shown, first = splits.held_out.first(4 * COLUMNS), splits.test.first(1)
    split = "validation" if len(splits.val) else "test"
    n = ROWS * COLUMNS
    labels = torch.arange(n, device=splits.train.device) % max(splits.n_classes, 1)  # every class in turn
    with evaluating(model), model.noise.fixed(mix(seed, "grids")):
        rows = reconstructions(model, *shown, COLUMNS)
        kinds = ROW_LABELS[len(rows) // (min(4 * COLUMNS, len(shown.x)) // min(COLUMNS, len(shown.x)))]
        caption = f"The first images of the {split} split and what the model makes of them, without sampling."
        grids = [labelled("reconstructions", rows, caption, kinds * len(rows))]
        if model.prior is not None:
            grids.append(_conditional(model, splits) if model.config.needs_labels else _drawn(model, labels))
            caption = "The first test image. In each row one dimension of its code goes from -3 to 3 stds of the prior."
            rows = traversals(model, *first)
            grids.append(labelled("traversals", rows, caption, [f"z[{i}]" for i in range(len(rows))]))
        elif model.config.is_discrete:
            caption = "Decoded from codes drawn for every position alone, each from a training image at random."
            drawn = samples_by_position(model, splits.train.chunks(1000, CODES), labels)
            grids.append(labelled("samples", drawn, caption))
        else:
            caption = "Decoded from random draws of a Gaussian that was fitted to the codes of training images."
            drawn = samples_gaussian(model, splits.train.chunks(1000, CODES), labels)
            grids.append(labelled("samples_gaussian", drawn, caption))
        if isinstance(model.encoder, MLPEncoder) and len(model.encoder.layers) == 1:
            grids.append(units(model.encoder.layers[0].weight, splits.train.image_shape))
        return grids


def units(weight: Tensor, image_shape: tuple[int, ...]) -> Grid:
    """What the first units of a layer that sees the whole image look for. weight: (units, C · H · W)."""
    weight = whole_rows(weight.detach()[: ROWS * COLUMNS])
    caption = f"Weights of the first {len(weight)} units, each scaled by its largest; grey is 0."
    return labelled("filters", filters(weight, image_shape), caption)


def _drawn(model: Autoencoder, labels: Tensor) -> Grid:
    caption = "Decoded from random draws of the prior: means of the likelihood, not draws of it."
    return labelled("samples", samples(model, labels), caption)


def _conditional(model: Autoencoder, splits: Splits) -> Grid:
    classes = min(splits.n_classes, CLASSES)
    names = [short(name) for name in splits.classes[:classes]] or [str(i) for i in range(classes)]
    caption = "Decoded from random draws of the prior: the same code down each column, each row with its class."
    return labelled("samples", samples_by_class(model, classes, COLUMNS), caption, names)


@torch.no_grad()
def codes(model: Autoencoder, splits: Splits) -> Grid:
    """Where the first held-out images lie in a plane of codes, coloured by class; of a VAE the posterior means."""
    from aetrain.pictures.scatter import scatter  # here, because matplotlib takes half a second to import

    with evaluating(model):
        parts = [(model.encode(x, y), y) for x, y in splits.held_out.chunks(500, CODES // 5)]
    points, labels = (torch.cat(part).float().cpu().numpy() for part in zip(*parts, strict=True))
    split = "validation" if len(splits.val) else "test"
    title = f"codes of {len(points):,} images of the {split} split"
    png = scatter(points, labels.astype(int), splits.classes, title, ("z[0]", "z[1]"))
    with Image.open(io.BytesIO(png)) as image:
        return Grid("codes", png, image.height, image.width, len(image.getbands()))


def whole_rows(rows: Tensor) -> Tensor:
    """As many of them as fill rows of COLUMNS; all if they do not fill one."""
    return rows[: len(rows) // COLUMNS * COLUMNS or None]


def grid(name: str, images: Tensor, enlarge: bool = False) -> Grid:
    """images: (rows, columns, C, H, W) or (n, C, H, W), shown in rows of COLUMNS, two pixels apart. enlarge: small
    images by a whole number, so that a person sees their pixels. The PNG says its rows x columns under `tiles`, for
    whoever cuts it up again."""
    if images.ndim == 4:
        images = images.unflatten(0, (-1, min(COLUMNS, len(images))))
    canvas = _canvas(enlarged(images) if enlarge else images)
    layout = f"{images.shape[0]}x{images.shape[1]}"
    return Grid(name, png(canvas, tiles=layout), canvas.shape[1], canvas.shape[2], canvas.shape[0])


def picture(images: Tensor, caption: str = "", columns: int = COLUMNS, rows: Sequence[str] = ()) -> bytes:
    """A PNG of images, small ones enlarged: (rows, columns, C, H, W), or (n, C, H, W) in rows of so many. caption and
    rows: see `labelled`."""
    return labelled("", in_rows(images, columns) if images.ndim == 4 else images, caption, rows).png


def compared(names: Sequence[str], parts: Sequence[Tensor], columns: int) -> bytes:
    """A PNG of the same images in several forms, (n, C, H, W) each, one below the other, with the forms' names left."""
    rows = beside(parts, columns)
    return picture(rows, rows=[short(name) for name in names] * (len(rows) // len(parts)))


def laid_out(images: Tensor, columns: int) -> np.ndarray:
    """`picture` before it is a file: uint8, (H, W) or (H, W, 3). images: (n, C, H, W)."""
    return _pixels(_canvas(enlarged(in_rows(images, columns))))


def in_rows(images: Tensor, columns: int) -> Tensor:
    """(n, C, H, W) -> (rows, columns, C, H, W), grey where the last row is not full."""
    columns = min(columns, len(images))
    missing = -len(images) % columns
    full = F.pad(images.float(), (0, 0) * (images.ndim - 1) + (0, missing), value=0.5)
    return full.unflatten(0, (-1, columns))


def _canvas(images: Tensor) -> Tensor:
    """(rows, columns, C, H, W) in [0, 1] -> uint8, (C, height, width), GAP pixels of grey around every image."""
    tiles = F.pad(to_bytes(images), (0, GAP, 0, GAP), value=128)
    tiles = tiles.permute(2, 0, 3, 1, 4)  # (C, rows, H + gap, columns, W + gap)
    return F.pad(tiles.flatten(3, 4).flatten(1, 2), (GAP, 0, GAP, 0), value=128)


def _pixels(image: Tensor) -> np.ndarray:
    """(C, H, W) -> (H, W) or (H, W, C)."""
    return image.permute(1, 2, 0).squeeze(2).cpu().numpy()


def labelled(name: str, images: Tensor, caption: str, rows: Sequence[str] = ()) -> Grid:
    """An enlarged grid with a caption below and, if any, labels left of its rows. images: as in `grid`."""
    images = images.unflatten(0, (-1, min(COLUMNS, len(images)))) if images.ndim == 4 else images
    drawn = Image.fromarray(_pixels(_canvas(enlarged(images))))
    left = max((int(FONT.getlength(row)) for row in rows), default=0) + 2 * SPACE if rows else 0
    lines = textwrap.wrap(caption, max(20, int((left + drawn.width) / FONT.getlength("n"))))
    height = drawn.height + LINE * len(lines) + SPACE
    canvas = Image.new(drawn.mode, (left + drawn.width, height), 255 if drawn.mode == "L" else (255,) * 3)
    canvas.paste(drawn, (left, 0))
    pen, ink = ImageDraw.Draw(canvas), 40 if canvas.mode == "L" else (40, 40, 40)
    rows_drawn, columns = images.shape[:2]
    pitch = (drawn.height - GAP) // rows_drawn
    for i, row in enumerate(rows[:rows_drawn]):
        pen.text((left - SPACE, GAP + i * pitch + pitch // 2), row, ink, FONT, anchor="rm")
    for i, line in enumerate(lines):
        pen.text((SPACE, drawn.height + SPACE // 2 + LINE * i), line, ink, FONT)
    scale = ((drawn.width - GAP) // columns - GAP) // images.shape[-1]
    about = PngInfo()  # by which sweeps/report/pictures.py cuts rows out
    about.add_text("tiles", f"{rows_drawn}x{columns}")
    about.add_text("drawn", f"{left} {drawn.width} {drawn.height} {scale}")
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG", compress_level=3, pnginfo=about)
    return Grid(name, buffer.getvalue(), canvas.height, canvas.width, len(canvas.getbands()))


def short(name: str) -> str:
    """A class's name, left of its row."""
    name = " ".join(name.split())
    return name if len(name) <= LETTERS else name[: LETTERS - 1] + "…"


def beside(parts: Sequence[Tensor], columns: int) -> Tensor:
    """Rows of one part above rows of the next, the same images below each other; grey where the last row is not full.
    parts: each (N, C, H, W) in [0, 1] -> (rows, columns, C, H, W)."""
    return torch.stack([in_rows(part, columns) for part in parts], dim=1).flatten(0, 1)


def enlarged(images: Tensor) -> Tensor:
    """Every pixel a square of so many that an image has about ENLARGED of them. (…, C, H, W) in the same form."""
    factor = max(1, round(ENLARGED / max(images.shape[-2:])))
    return images.repeat_interleave(factor, -1).repeat_interleave(factor, -2)


def to_bytes(images: Tensor) -> Tensor:
    """[0, 1] -> uint8."""
    return (images.float().nan_to_num(0.5).clamp(0, 1) * 255).round().to(torch.uint8)


def png(image: Tensor, **texts: str) -> bytes:
    """A PNG file, with texts beside the picture. image: (C, H, W), uint8 or in [0, 1]."""
    pixels = to_bytes(image) if image.is_floating_point() else image
    buffer, info = io.BytesIO(), PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    # At level 3 half the time of 6, a tenth more bytes.
    Image.fromarray(_pixels(pixels)).save(buffer, "PNG", compress_level=3, pnginfo=info)
    return buffer.getvalue()
