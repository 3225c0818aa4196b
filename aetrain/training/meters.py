"""Means over steps, kept on the device until someone reads them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

WINDOWS = ("interval", "epoch")  # since the last log point, since the epoch began


class Meters:
    """Sums of every step's values over two windows, in float64, and the number of steps behind them as the last
    element. skip: steps with a value that is not finite are left out, as the optimizer leaves them out.

    For a stack of K members every value is (K,), and so every window (K, values + 1): see `share`."""

    def __init__(self, skip: bool = False) -> None:
        self.names: list[str] = []
        self._skip = skip
        self._sums: dict[str, Tensor] = {}
        self._one: Tensor | None = None  # what a step adds to their number, shaped like a value
        self._told: dict[str, list[float]] = {}  # of windows that the host has been told, see `tell`

    def add(self, values: dict[str, Tensor]) -> None:
        """values: 0-D tensors, or (K,), the same names at every step."""
        self.names = list(values)
        if self._one is None:
            self._one = torch.ones_like(next(iter(values.values())))
        row = torch.stack([*values.values(), self._one], dim=-1).double()
        if self._skip:
            row = torch.where(torch.isfinite(row).all(-1, keepdim=True), row, 0.0)
        for window in WINDOWS:
            if window in self._sums:
                self._sums[window] += row
            else:
                self._sums[window] = row.clone()

    def read(self, window: str) -> dict[str, float]:
        """The window's means, copied to the host at once; the window starts again. Empty if nothing was ever added,
        NaN if every step was left out."""
        if window not in self._sums:
            return {}
        *totals, count = self._told.pop(window, None) or self._sums[window].tolist()
        self._sums[window].zero_()
        return {name: total / count if count else math.nan for name, total in zip(self.names, totals, strict=True)}

    def share(self, members: Sequence[Meters]) -> None:
        """Make each of the K members the view of its row: what is added here, they read. Steps that they have counted
        so far, all of them or none, are taken over."""
        for window in WINDOWS:
            if all(window in member._sums for member in members):
                self._sums[window] += torch.stack([member._sums[window] for member in members])
            for k, member in enumerate(members):
                member.names = self.names
                member._sums[window] = self._sums[window][k]

    def rows(self) -> Tensor:
        """Of a stack, what `tell` is told of each member: (K, windows · (values + 1))."""
        return torch.cat([self._sums[window] for window in WINDOWS], dim=-1)

    def tell(self, row: Sequence[float]) -> None:
        """For a stack's member: what its next `read` would ask the device for. Holds until the next step."""
        size = len(row) // len(WINDOWS)
        self._told = {window: list(row[i * size : (i + 1) * size]) for i, window in enumerate(WINDOWS)}

    def state_dict(self) -> dict[str, Any]:
        return {"names": list(self.names), "sums": dict(self._sums)}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self.names = list(state["names"])
        sums = {window: state["sums"].get(window) for window in WINDOWS}
        self._sums = {window: value.to(device) for window, value in sums.items() if value is not None}
