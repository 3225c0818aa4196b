"""Directions of the code along which the page lays codes out on a map."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

COMPONENTS = 6  # principal components that can be chosen
DIMENSIONS = 10  # single dimensions that can be, the most active
MOST_AXES = COMPONENTS + DIMENSIONS


@dataclass(frozen=True)
class Axes:
    """A code's place on an axis is code · direction − offset. names: what the axes are called; directions: (A, D);
    offsets: (A,)."""

    names: list[str]
    directions: Tensor
    offsets: Tensor


def axes(codes: Tensor, order: list[int]) -> Axes:
    """Of a code of two numbers these themselves; else principal components of the codes, (N, D), then single
    dimensions, in the order given. A code of one number is laid out against nothing: its second axis is 0."""
    dims, codes = codes.shape[1], codes.double()
    single = torch.eye(dims, dtype=torch.float64)
    if dims <= 2:
        missing = torch.zeros(2 - dims, dims, dtype=torch.float64)
        names = [f"z{d}" for d in range(dims)] + ["–"] * (2 - dims)
        return Axes(names, torch.cat([single, missing]).float(), torch.zeros(2))
    mean = codes.mean(0)
    with torch.random.fork_rng(devices=[]):  # they are found by a random start (Halko et al. 2011)
        torch.manual_seed(0)
        _, spread, components = torch.svd_lowrank(codes - mean, q=min(2 * COMPONENTS, *codes.shape), niter=8)
    components = components.T
    shares = spread.square() / (codes - mean).square().sum().clamp(min=torch.finfo(torch.float64).tiny)
    found = min(COMPONENTS, len(spread))
    names = [f"component {i + 1} ({100 * float(shares[i]):.0f} % of the variance)" for i in range(found)]
    names += [f"z{d}" for d in order[:DIMENSIONS]]
    directions = torch.cat([components[:found], single[order[:DIMENSIONS]]])
    offsets = torch.cat([components[:found] @ mean, torch.zeros(len(directions) - found, dtype=torch.float64)])
    return Axes(names, directions.float(), offsets.float())
