"""Images beside what is left of them behind the code."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain.models import Autoencoder


def reconstructions(model: Autoencoder, x: Tensor, y: Tensor | None = None, columns: int = 8) -> Tensor:
    """A row of originals, one of corrupted images where the model denoises, one of reconstructions, four times over.
    x: (N, C, H, W) -> (rows, columns, C, H, W) in [0, 1]."""
    columns = min(columns, len(x))
    n = min(4, len(x) // columns) * columns
    x, y = x[:n], None if y is None else y[:n]
    corrupted = model.corrupt(x)
    shown = [x, model.decode(model.encode(corrupted, y), y)]
    if corrupted is not x:
        shown.insert(1, corrupted)
    rows = torch.stack([part.unflatten(0, (-1, columns)) for part in shown], dim=1)  # (groups, kinds, columns, C, H, W)
    return rows.flatten(0, 1)
