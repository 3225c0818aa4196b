"""Means over steps, kept on the device until someone reads them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

WINDOWS = ("interval", "epoch")  # since the last log point, since the epoch began


class Meters:
    """Sums of every step's values over two windows, in float64."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._sums: dict[str, Tensor | None] = dict.fromkeys(WINDOWS)
        self._counts = dict.fromkeys(WINDOWS, 0)

    def add(self, values: dict[str, Tensor]) -> None:
        """values: 0-D tensors, the same names at every step."""
        self.names = list(values)
        row = torch.stack(list(values.values())).double()
        for window, sums in self._sums.items():
            self._sums[window] = row if sums is None else sums + row
            self._counts[window] += 1

    def read(self, window: str) -> dict[str, float]:
        """The window's means, copied to the host at once; the window starts again. Empty if nothing was added."""
        sums = self._sums[window]
        if sums is None:
            return {}
        means = (sums / self._counts[window]).tolist()
        self._sums[window], self._counts[window] = None, 0
        return dict(zip(self.names, means, strict=True))

    def state_dict(self) -> dict[str, Any]:
        return {"names": list(self.names), "sums": dict(self._sums), "counts": dict(self._counts)}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self.names, self._counts = list(state["names"]), {window: int(state["counts"][window]) for window in WINDOWS}
        sums = {window: state["sums"][window] for window in WINDOWS}
        self._sums = {window: None if value is None else value.to(device) for window, value in sums.items()}
