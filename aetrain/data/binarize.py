"""Pixels drawn once as 0 or 1, each 1 with its grey value as probability (Larochelle & Murray 2011; Burda et al.
2015)."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from aetrain.data.lazy import Bits, Lazy
from aetrain.data.memory import available
from aetrain.errors import UserError
from aetrain.noise import mix

AT_ONCE = 1 << 22  # pixels


def draw(whole: Lazy, part: str, rows: Tensor) -> Lazy:
    """The images of `rows`, (n,), of a part of the data, drawn. What is drawn for an image depends on its place in the
    part alone, not on the others of `rows`."""
    pixels = math.prod(whole.image_shape)
    size = len(rows) * -(-pixels // 8)
    if size > available():
        raise UserError(
            f"data.binarization=static: {len(rows):,} images of {pixels:,} pixels, drawn once, take "
            f"{size / 1e9:,.1f} GB of memory, and there is less; data.binarization=threshold needs no room"
        )
    bits = np.empty((len(rows), -(-pixels // 8)), np.uint8)
    generator = torch.Generator().manual_seed(mix("static binarization", part))
    ordered, places = rows.sort()
    for block in torch.arange(len(whole)).split(max(1, AT_ONCE // pixels)):
        start, stop = int(block[0]), int(block[-1]) + 1
        noise = torch.rand((stop - start, *whole.image_shape), generator=generator)
        here = slice(*torch.searchsorted(ordered, torch.tensor([start, stop])).tolist())
        images = whole.fetch(ordered[here])
        white = noise[ordered[here] - start] < images / (1 if images.is_floating_point() else 255)
        bits[places[here].numpy()] = np.packbits(white.flatten(1).numpy(), axis=1)
    return Lazy(Bits(bits, whole.take(rows), whole.device), torch.arange(len(rows)))
