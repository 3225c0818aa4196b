"""data=shapes: a square, an ellipse or a heart of every size, angle and place: the grid of dSprites (Matthey et al.
2017), computed when it is asked for.

Angles are k · 2π / orientations: the published set has 0 and 2π both, and so every image of them twice. A square
looks the same four times in a turn, an ellipse twice.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from aetrain.config.schema.data import Shapes
from aetrain.data.card import Card
from aetrain.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

MARGIN = 0.25  # of the side: how near a centre comes to the border; no shape is cut off
SCALES = (0.5, 1.0)
PIECE = 1 << 15  # pixels; torch takes no second thread for so few


def card(config: Shapes) -> Card:
    if len(set(config.shapes)) < len(config.shapes):
        raise UserError(f"data.shapes=[{','.join(config.shapes)}]: a shape is named twice; name it once")
    factors = _factors(config)
    total, kinds = math.prod(factors.values()), len(config.shapes)
    return Card(
        (3 if config.colors > 1 else 1, config.size, config.size), total, None, n_classes=kinds,
        factors=tuple(factors), classes=tuple(config.shapes), counts={"train": (total // kinds,) * kinds},
        binary=config.colors == 1, is_sorted=True,
    )  # fmt: skip


def load(config: Shapes) -> dict[str, Any]:
    import torch

    from aetrain.data.lazy import Lazy

    source = _Source(config, torch.device("cpu"))
    return {"train": Lazy(source, torch.arange(source.total))}


def _factors(config: Shapes) -> dict[str, int]:
    """Name -> number of values, the slowest first."""
    values = {
        "shape": len(config.shapes), "scale": config.scales, "orientation": config.orientations, "x": config.columns,
        "y": config.rows,
    }  # fmt: skip
    return {"color": config.colors} | values if config.colors > 1 else values


class _Source:
    is_slow = False
    mean_over = 4096

    def __init__(self, config: Shapes, device: Any):
        import torch

        self.device = self.index_device = device
        self.image_shape = card(config).image_shape
        self._config, self._values = config, _factors(config)
        self.total = math.prod(self._values.values())
        pixels = (torch.arange(config.size, device=device) + 0.5) / config.size
        self._x, self._y = pixels.view(1, 1, -1), pixels.view(1, -1, 1)
        kinds = [("square", "ellipse", "heart").index(name) for name in config.shapes]
        self._kinds = torch.tensor(kinds, device=device)
        hues = torch.arange(config.colors, device=device) / config.colors
        # (colors, 3): the corners and edges of the cube of RGB, as bright as they can be
        turned = (hues[:, None] * 6 + torch.tensor([0.0, 4.0, 2.0], device=device)) % 6
        self._colors = ((turned - 3).abs() - 1).clamp(0, 1)

    def on(self, device: Any) -> _Source:
        return _Source(self._config, device)

    def factors(self, rows: Tensor) -> Tensor:
        import torch

        found = []
        for count in reversed(self._values.values()):
            found.append(rows % count)
            rows = rows // count
        return torch.stack(found[::-1], dim=1)

    def labels(self, rows: Tensor) -> Tensor:
        return self.factors(rows)[:, list(self._values).index("shape")]

    def names(self, rows: Tensor) -> list[str]:
        return ["_".join(map(str, values)) for values in self.factors(rows).tolist()]

    def fetch(self, rows: Tensor) -> Tensor:
        """(B, C, H, W), 0 and 1, or the hue."""
        import torch

        if self.device.type == "cpu":  # in pieces that stay in the processor's cache, and in one thread: half the time
            pieces = rows.split(max(1, PIECE // self._config.size**2))
            return torch.cat([self._computed(piece) for piece in pieces])
        return self._computed(rows)

    def _computed(self, rows: Tensor) -> Tensor:
        import torch

        of = dict(zip(self._values, self.factors(rows).unbind(1), strict=True))

        def spread(name: str, low: float, high: float, alone: float) -> Tensor | float:
            count = self._values[name]
            return (low + (high - low) * of[name] / (count - 1)).view(-1, 1, 1) if count > 1 else alone

        scale = spread("scale", *SCALES, alone=SCALES[1])
        x, y = (spread(name, MARGIN, 1 - MARGIN, alone=0.5) for name in ("x", "y"))
        angle = (of["orientation"] * (2 * math.pi / self._values["orientation"])).view(-1, 1, 1)
        dx, dy = (self._x - x) / scale, (self._y - y) / scale
        u, v = angle.cos() * dx + angle.sin() * dy, angle.cos() * dy - angle.sin() * dx  # (B, H, W)
        kind = self._kinds[of["shape"]].view(-1, 1, 1)
        # Each shape is where its own function is at most 1.
        square = torch.maximum(u.abs(), v.abs()) / 0.16
        ellipse = (u / 0.2).square() + (v / 0.12).square()
        hu, hv = (u / 0.13).square(), v / -0.13
        ring = hu + hv.square() - 1
        heart = 1 + ring * ring * ring - hu * (hv * hv * hv)  # pow(3) takes ten times as long
        inside = torch.where(kind == 0, square, torch.where(kind == 1, ellipse, heart)) <= 1
        mask = inside.to(torch.get_default_dtype()).unsqueeze(1)
        return mask * self._colors[of["color"]].to(mask)[:, :, None, None] if "color" in of else mask
