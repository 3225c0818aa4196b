"""Whether an exported network computes what the model does."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from aetrain.errors import RunFailed

TOLERANCE = 1e-4  # of the largest value, or of 1 if that is larger
BATCHES = (1, 2, 7)


@torch.no_grad()
def checked(name: str, network: nn.Module, exported: Callable[..., Tensor], *examples: Tensor) -> float:
    """The largest difference between the two on batches of several sizes. Raises RunFailed where it is above TOLERANCE.
    name: of the file; examples: of each input at least 7."""
    worst = 0.0
    for n in BATCHES:
        given = [example[-n:] for example in examples]
        ours, theirs = network(*given), exported(*given)
        if ours.shape != theirs.shape:
            raise RunFailed(f"{name}: gives {tuple(theirs.shape)} where the model gives {tuple(ours.shape)}")
        difference = float((ours - theirs).abs().max())
        if not difference <= TOLERANCE * max(1.0, float(ours.abs().max())):
            raise RunFailed(f"{name}: differs from the model by {difference:.2g}, more than {TOLERANCE:g}")
        worst = max(worst, difference)
    return worst
