"""Units that nothing activates any more, and a loss that brings them back (Gao et al. 2024, appendix A.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Idle(nn.Module):
    """images: how many have been seen since each unit was last active in training, (D,)."""

    def __init__(self, units: int):
        super().__init__()
        self.register_buffer("images", torch.zeros(units, dtype=torch.int64))

    def update(self, code: Tensor) -> None:
        """In place, after a batch: (B, D)."""
        is_active = (code.detach() != 0).any(0)
        self.images.copy_(torch.where(is_active, 0, self.images + len(code)))


def largest_of(code: Tensor, units: Tensor, k: int) -> Tensor:
    """The k largest activations of each image among these units, the others 0. code: (B, D), units: bool (D,)."""
    found = torch.where(units, code, -torch.inf).topk(k, dim=1)
    values = torch.where(found.values.isinf(), 0.0, found.values)  # there may be fewer
    return torch.zeros_like(code).scatter(1, found.indices, values)
