"""One image, in a file or in memory -> an array. Pillow reads it; what it may read, and how large, is limited here."""

from __future__ import annotations

import io
import math
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageColor, ImageOps

from aetrain.errors import UserError
from aetrain.files import opened_regular

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # nothing that runs a program or opens another file
ORIENTATION = 0x0112  # the EXIF tag; 5 to 8 swap width and height
WIDE = ("I", "F")  # modes of more than 8 bits, beside I;16…
TRANSPARENT = ("RGBA", "LA", "PA", "La", "RGBa")


class Unreadable(Exception):
    """What is wrong with a file, in a few words."""


Encoded = str | bytes  # the path of a file, or its content


class Header(NamedTuple):
    height: int
    width: int
    is_colour: bool
    scale: float  # the largest value of a pixel: 255, 65535, or 1 of floats


class Spec(NamedTuple):
    """What every image becomes."""

    channels: int
    height: int
    width: int
    scale: float  # 255: uint8; else float32 in [0, 1], of files whose pixels go up to this
    fit: str
    background: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.height, self.width

    @property
    def is_wide(self) -> bool:
        return self.scale != 255

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.float32 if self.is_wide else np.uint8)


def be_strict() -> None:
    """Pillow's limits are errors, and its remarks on a file's metadata are nobody's concern. For the whole process:
    threads share these filters."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


def colour(text: str) -> tuple[int, int, int]:
    """A name such as white, or six hexadecimal digits. Raises a UserError."""
    try:
        return ImageColor.getrgb(f"#{text}" if re.fullmatch("[0-9a-fA-F]{6}", text) else text)[:3]
    except ValueError as error:
        raise UserError(f"data.background={text}: no colour; give one such as white, or as ff8000") from error


def header(source: Encoded) -> Header:
    """Size and kind, without decoding. Raises Unreadable."""
    with _opened(source) as image:
        height, width = image.height, image.width
        if _orientation(image) >= 5 and image.format != "TIFF":  # Pillow has turned that one already
            height, width = width, height
        scale = 255.0 if not _is_wide(image) else 1.0 if image.mode == "F" else 65535.0
        return Header(height, width, image.mode not in ("1", "L", "LA", "La") and scale == 255, scale)


def decode(source: Encoded, spec: Spec) -> np.ndarray:
    """(C, H, W), uint8 or float32 in [0, 1]. Raises Unreadable."""
    with _opened(source) as image:
        if image.format == "JPEG":
            _draft(image, spec)
        image.load()  # of an animation, the first frame
        turned = ImageOps.exif_transpose(image) if _orientation(image) != 1 else image
        pixels = _fitted(_wide(turned) if _is_wide(turned) else _plain(turned, spec), spec)
        if pixels.ndim == 2:
            return np.broadcast_to(pixels, spec.shape)
        return pixels.transpose(2, 0, 1)


@contextmanager
def _opened(source: Encoded) -> Iterator[Image.Image]:
    """An image whose header is read. Every fault within becomes Unreadable, but for too little memory."""
    try:
        opened = io.BytesIO(source) if isinstance(source, bytes) else opened_regular(source)
        with opened as file, Image.open(file, formats=FORMATS) as image:
            yield image
    except (Unreadable, MemoryError):
        raise
    except Image.UnidentifiedImageError as error:
        raise Unreadable("not an image of a known format") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unreadable(f"more than {Image.MAX_IMAGE_PIXELS:,} pixels") from error
    except OSError as error:
        raise Unreadable(error.strerror or _words(error)) from error
    except (ValueError, SyntaxError, KeyError, IndexError, TypeError, AttributeError, OverflowError, EOFError,
            ZeroDivisionError, NotImplementedError, RuntimeError, struct.error) as error:  # fmt: skip
        raise Unreadable(_words(error)) from error  # Pillow's plugins raise whatever a damaged file leads to


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__


def _orientation(image: Image.Image) -> int:
    if "exif" in image.info or image.format in ("TIFF", "WEBP"):
        return image.getexif().get(ORIENTATION, 1)
    return 1


def _is_wide(image: Image.Image) -> bool:
    return image.mode in WIDE or image.mode.startswith("I;16")


def _draft(image: Image.Image, spec: Spec) -> None:
    """Let the JPEG decoder leave out what a much smaller picture does not show: at least twice its size is decoded."""
    height, width = (spec.height, spec.width) if _orientation(image) < 5 else (spec.width, spec.height)
    scale = (min if spec.fit == "pad" else max)(height / image.height, width / image.width)
    if scale < 0.25:
        image.draft(None, (math.ceil(2 * scale * image.width), math.ceil(2 * scale * image.height)))


def _wide(image: Image.Image) -> Image.Image:
    """More than 8 bits -> mode F in [0, 1]."""
    values = np.asarray(image).astype(np.float32)
    if image.mode != "F":
        values /= 65535
    if not (values.min() >= 0 and values.max() <= 1):
        raise Unreadable("values outside [0, 1]" if image.mode == "F" else "values of more than 16 bits")
    return Image.fromarray(values)


def _plain(image: Image.Image, spec: Spec) -> Image.Image:
    """At most 8 bits -> mode L or RGB, over the background where it is transparent."""
    mode = "L" if spec.channels == 1 else "RGB"
    if image.mode == mode and "transparency" not in image.info:
        return image
    if image.mode in TRANSPARENT or "transparency" in image.info:
        under = Image.new("RGBA", image.size, (*spec.background, 255))
        image = Image.alpha_composite(under, image.convert("RGBA"))
    return image.convert("RGB").convert(mode) if image.mode not in ("1", "L") else image.convert(mode)


def _fitted(image: Image.Image, spec: Spec) -> np.ndarray:
    """(H, W) or (H, W, 3) of the spec's size and type."""
    size = (spec.width, spec.height)
    if image.size != size:
        if spec.fit == "pad":
            scale = min(spec.width / image.width, spec.height / image.height)
            inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            canvas = Image.new(image.mode, size, _background(image.mode, spec.background))
            canvas.paste(_resized(image, inner, None), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
            image = canvas
        else:
            box = None
            if spec.fit == "crop":
                scale = min(image.width / spec.width, image.height / spec.height)
                # min: a product that is the image's own side may come out above it by a rounding, which Pillow refuses
                width, height = min(spec.width * scale, image.width), min(spec.height * scale, image.height)
                left, top = (image.width - width) / 2, (image.height - height) / 2
                box = (left, top, left + width, top + height)
            image = _resized(image, size, box)
    values = np.asarray(image)
    if image.mode == "F":
        return values.clip(0, 1)
    return values.astype(np.float32) / np.float32(255) if spec.is_wide else values


def _resized(image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float] | None) -> Image.Image:
    return image.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)


def _background(mode: str, rgb: tuple[int, int, int]) -> int | float | tuple[int, int, int]:
    if mode == "RGB":
        return rgb
    grey = Image.new("RGB", (1, 1), rgb).convert("L").getpixel((0, 0))
    return grey / 255 if mode == "F" else grey
