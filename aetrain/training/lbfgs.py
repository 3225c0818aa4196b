"""The training step of L-BFGS, on the whole split."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aetrain.training.step import Latch, Step


def make_lbfgs_step(model: nn.Module, optimizer: torch.optim.LBFGS, latch: Latch | None = None) -> Step:
    """step(x, y=None) -> the batch means of the loss and of every term and the gradient's norm, where the step starts.

    Every evaluation sees the same batch: x (B, C, H, W) in [0, 1], y labels (B,). The line search asks the host after
    each of them. It steps back from where the objective is not finite, so that the weights stay finite.
    """
    params = [p for p in model.parameters() if p.requires_grad]

    def evaluate(x: Tensor, y: Tensor | None) -> tuple[dict[str, Tensor], Tensor]:
        """The terms, each (B,), and the gradient's norm."""
        out = model(x, y)
        optimizer.zero_grad(set_to_none=True)
        out["loss"].mean().backward()
        return {name: term.detach() for name, term in out.items()}, torch.nn.utils.get_total_norm(
            [p.grad for p in params if p.grad is not None]
        )

    def step(x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        terms, norm = evaluate(x, y)
        means = {name: term.mean() for name, term in terms.items()} | {"grad_norm": norm}
        if latch is not None:
            latch.check(torch.stack(list(means.values())))
            if latch.suppress:
                return means
        known = [terms["loss"]]  # the optimizer asks for the first point again

        def objective() -> Tensor:
            """In float64: in float32 the mean of many images is coarser than what a late line search compares."""
            if known:
                return known.pop().double().mean()
            terms, norm = evaluate(x, y)
            loss = terms["loss"].double().mean()
            if torch.isfinite(loss + norm):
                return loss
            for p in params:  # the line search then halves its interval
                p.grad.fill_(torch.nan)
            return torch.full_like(loss, torch.inf)

        optimizer.step(objective)
        return means

    return step
