"""Normalisation within one image. None over the batch: its running statistics would be part of no single image's
objective, and could be neither stacked nor captured in a graph."""

from __future__ import annotations

import math

from torch import nn

GROUPS = 32  # of channels, at most (Wu & He 2018)


def norm(kind: str, channels: int) -> nn.Module:
    """kind: none or group. Groups are as many as divide the channels, at most 32 and of at least 2 channels each, so
    that no group is one channel whose mean is all there is to say."""
    if kind == "none":
        return nn.Identity()
    groups = math.gcd(GROUPS, channels)
    while groups > 1 and channels // groups < 2:
        groups //= 2
    return nn.GroupNorm(groups, channels)
