"""Training images changed a little, on the device, anew for every batch, from torch's global generator: a resumed run
and the members of a stack see what they would have seen."""

from __future__ import annotations

import torch
from torch import Tensor


def augment(x: Tensor, flip: bool, shift: int) -> Tensor:
    """x: (B, C, H, W), half of it mirrored left to right, moved by up to `shift` pixels each way. What moves in repeats
    the border."""
    batch, _, height, width = x.shape
    if flip:
        mirrored = torch.rand((batch, 1, 1, 1), device=x.device) < 0.5
        x = torch.where(mirrored, x.flip(-1), x)
    if shift:
        by = torch.randint(-shift, shift + 1, (2, batch, 1), device=x.device)
        rows = (torch.arange(height, device=x.device) + by[0]).clamp(0, height - 1)  # (B, H)
        columns = (torch.arange(width, device=x.device) + by[1]).clamp(0, width - 1)  # (B, W)
        x = x.gather(2, rows[:, None, :, None].expand(x.shape))
        x = x.gather(3, columns[:, None, None, :].expand(x.shape))
    return x
