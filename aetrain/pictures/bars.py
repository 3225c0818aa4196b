"""A bar for each dimension of a code."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

FONT = ImageFont.load_default(11)
MOST = 64  # dimensions
WIDE, HIGH, MARGIN = 18, 160, 22  # pixels: of a bar with its gap, of the highest bar, around the bars


def bars(values: Sequence[float], title: str) -> tuple[bytes, int, int]:
    """A PNG, its height and its width: the values of the dimensions by index, each number below its bar. Drawn without
    matplotlib, which takes half a second to import: this one is drawn during training."""
    values = [max(float(value), 0.0) if math.isfinite(value) else 0.0 for value in values[:MOST]]
    highest = max(*values, 1e-12)
    width = max(2 * MARGIN + WIDE * len(values), int(FONT.getlength(title)) + 2 * MARGIN)
    canvas = Image.new("L", (width, HIGH + 3 * MARGIN), 255)
    pen, base = ImageDraw.Draw(canvas), HIGH + 2 * MARGIN
    pen.text((MARGIN, 4), title, 40, FONT)
    pen.text((MARGIN, 2 + MARGIN), f"{highest:.3g}", 120, FONT, anchor="lm")
    for i, value in enumerate(values):
        left = MARGIN + WIDE * i
        pen.rectangle((left, base - round(HIGH * value / highest), left + WIDE - 5, base), fill=90)
        pen.text((left + (WIDE - 5) // 2, base + 4), str(i), 40, FONT, anchor="mt")
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue(), canvas.height, canvas.width
