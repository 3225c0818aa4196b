"""Images that move."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from aetrain.pictures.grids import COLUMNS, laid_out

MILLISECONDS = 100  # a frame


def gif(frames: Sequence[Tensor], columns: int = COLUMNS) -> bytes:
    """An animation that goes forth and back, for ever. frames: (n, C, H, W) each, in rows of `columns`."""
    pictures = [Image.fromarray(laid_out(frame, columns)) for frame in frames]
    pictures = [p.quantize(256, method=Image.Quantize.FASTOCTREE) if p.mode == "RGB" else p for p in pictures]
    pictures += pictures[-2:0:-1]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "GIF", save_all=True, append_images=pictures[1:], duration=MILLISECONDS, loop=0)
    return buffer.getvalue()
