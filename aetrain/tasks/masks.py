"""Which pixels of an image are missing."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from aetrain.config.schema.task.inpaint import PARTS
from aetrain.config.words import closest
from aetrain.data.decode import Spec, Unreadable, be_strict, decode, header
from aetrain.errors import UserError

SHARE = 0.25
HALF = 128  # of 255: a mask file's pixels are missing from here on


def mask_of(word: str, share: float | None, image_shape: tuple[int, int, int]) -> Tensor | None:
    """Where images are missing, (1, H, W), bool: a part of the image by name, so that about `share` of the pixels are
    (by default SHARE), or what is white in an image file. None for random, which differs from image to image. Raises a
    UserError."""
    if word == "random":
        return None
    _, height, width = image_shape
    if word in PARTS:
        return _part(word, SHARE if share is None else share, height, width)
    if share is not None:
        raise UserError(f"mask={word}: a file says itself how much is missing, or there is no part of that name "
                        f"({', '.join(PARTS)}); leave the share, or the level, out")  # fmt: skip
    return _from_file(word, height, width)


def _part(name: str, share: float, height: int, width: int) -> Tensor:
    missing = torch.zeros(1, height, width, dtype=torch.bool)
    if name == "center":
        rows, columns = (min(side, max(1, round(side * share**0.5))) for side in (height, width))
        top, left = (height - rows) // 2, (width - columns) // 2
        missing[:, top : top + rows, left : left + columns] = True
        return missing
    side = width if name in ("left", "right") else height
    n = min(side, max(1, round(side * share)))
    cut = slice(0, n) if name in ("left", "top") else slice(side - n, side)
    missing[(slice(None), slice(None), cut) if name in ("left", "right") else (slice(None), cut)] = True
    return missing


def _from_file(word: str, height: int, width: int) -> Tensor:
    path = Path(os.path.expanduser(word))
    told = f"mask={word}"
    if not path.exists():
        near = closest(word, PARTS)
        hint = f"did you mean mask={near}?" if near else f"choose from {', '.join(PARTS)}, or give an image file"
        raise UserError(f"{told}: there is no such part and no such file; {hint}")
    be_strict()
    try:
        found = header(str(path))
        if (found.height, found.width) != (height, width):
            raise UserError(
                f"{told}: the mask has {found.width}x{found.height} pixels, the model's images {width}x{height}; "
                "resize it"
            )
        pixels = decode(str(path), Spec(1, height, width, 255.0, "stretch", (0, 0, 0)))
    except Unreadable as error:
        raise UserError(f"{told}: cannot be read ({error})") from error
    missing = torch.from_numpy(pixels.copy()) >= HALF
    if not missing.any():
        raise UserError(f"{told}: nothing in it is white, so nothing is missing")
    return missing
