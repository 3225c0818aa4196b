"""L-BFGS (Nocedal 1980; Liu & Nocedal 1989) with a line search of the strong Wolfe conditions."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

EVALUATIONS = 25  # of the objective per iteration, on average, that the line searches may take


def lbfgs(params: Iterable[nn.Parameter], iterations: int, history: int, lr: float = 1.0) -> torch.optim.LBFGS:
    """An optimizer whose step is so many iterations, or fewer where it converges. lr: the line search's first trial."""
    return torch.optim.LBFGS(
        params, lr=lr, max_iter=iterations, max_eval=EVALUATIONS * iterations, history_size=history,
        line_search_fn="strong_wolfe",
    )  # fmt: skip
