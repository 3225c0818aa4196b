"""data=moons, circles, spiral: points of the plane, (N, 1, 1, 2), on two curves with noise around them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from aetrain.config.schema.data import Points
from aetrain.data.card import Card
from aetrain.noise import mix

if TYPE_CHECKING:
    from torch import Tensor

    from aetrain.data.split import Split


def card(config: Points) -> Card:
    first = config.points // 2
    return Card((1, 1, 2), config.points, None, n_classes=2, classes=("0", "1"),
                counts={"train": (first, config.points - first)}, bytes_per_value=4, scale=1.0,
                is_sorted=True)  # fmt: skip


def load(config: Points) -> dict[str, Split]:
    import torch

    from aetrain.data.split import Split

    n = config.points
    generator = torch.Generator().manual_seed(mix("points", config.name))
    label = (torch.arange(n) >= n // 2).long()
    t = torch.rand(n, generator=generator)
    points = CURVES[config.name](t, label) + config.noise * torch.randn(n, 2, generator=generator)
    # From the square of side 4 around 0, which every curve and three standard deviations of 0.3 fit into.
    return {"train": Split((points / 4 + 0.5).clamp(0, 1).reshape(n, 1, 1, 2), label)}


def _moons(t: Tensor, label: Tensor) -> Tensor:
    angle = math.pi * t
    sign = 1.0 - 2.0 * label
    return _stack(sign * angle.cos() - 0.5 * sign, sign * angle.sin() - 0.25 * sign)


def _circles(t: Tensor, label: Tensor) -> Tensor:
    angle, radius = 2 * math.pi * t, 1 - 0.5 * label
    return _stack(radius * angle.cos(), radius * angle.sin())


def _spiral(t: Tensor, label: Tensor) -> Tensor:
    radius = t.sqrt()  # as many points on every piece of an arm that grows wider
    angle = 3 * math.pi * radius + math.pi * label
    return _stack(radius * angle.cos(), radius * angle.sin())


def _stack(x: Tensor, y: Tensor) -> Tensor:
    import torch

    return torch.stack([x, y], dim=1)


CURVES = {"moons": _moons, "circles": _circles, "spiral": _spiral}
