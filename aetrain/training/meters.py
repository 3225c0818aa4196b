"""Means over steps, kept on the device until someone reads them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

WINDOWS = ("interval", "epoch")  # since the last log point, since the epoch began


class Meters:
    """Sums of every step's values over two windows, in float64, and the number of steps behind them as the last
    element. skip: steps with a value that is not finite are left out, as the optimizer leaves them out."""

    def __init__(self, skip: bool = False) -> None:
        self.names: list[str] = []
        self._skip = skip
        self._sums: dict[str, Tensor | None] = dict.fromkeys(WINDOWS)

    def add(self, values: dict[str, Tensor]) -> None:
        """values: 0-D tensors, the same names at every step."""
        self.names = list(values)
        row = torch.stack(list(values.values())).double()
        row = torch.cat([row, torch.ones_like(row[:1])])
        if self._skip:
            row = torch.where(torch.isfinite(row).all(), row, 0.0)
        for window, sums in self._sums.items():
            self._sums[window] = row if sums is None else sums + row

    def read(self, window: str) -> dict[str, float]:
        """The window's means, copied to the host at once; the window starts again. Empty if nothing was added, NaN if
        every step was left out."""
        sums = self._sums[window]
        if sums is None:
            return {}
        *totals, count = sums.tolist()
        self._sums[window] = None
        return {name: total / count if count else math.nan for name, total in zip(self.names, totals, strict=True)}

    def state_dict(self) -> dict[str, Any]:
        return {"names": list(self.names), "sums": dict(self._sums)}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self.names = list(state["names"])
        sums = {window: state["sums"][window] for window in WINDOWS}
        self._sums = {window: None if value is None else value.to(device) for window, value in sums.items()}
