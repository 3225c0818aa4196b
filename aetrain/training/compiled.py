"""The step under torch.compile, from the forward pass to the optimizer's update."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad

from aetrain.device import Precision
from aetrain.training.optimizer import Fused
from aetrain.training.step import Latch, Step, moving

# The generator's own numbers, as the eager step draws them.
BACKEND: dict[str, Any] = {"backend": "inductor", "options": {"fallback_random": True}}


def make_compiled_step(model: nn.Module, optimizer: Fused, precision: Precision, clip_norm: float | None,
                       latch: Latch) -> Step:  # fmt: skip
    """What `make_step` makes, in operations that can be traced: gradients by torch.func.grad, the update by
    `Fused.plain_step`. It draws the random numbers that the eager step draws, and agrees with it to rounding. Compiled
    at the first call, for the shapes of that batch. Every parameter must take part in the loss: one that does not has a
    gradient of 0 here and none there.
    """
    params = {name: p for name, p in model.named_parameters() if p.requires_grad}
    buffers = moving(model)
    places = [i for i, p in enumerate(model.parameters()) if p.requires_grad]  # of theirs in the optimizer

    def loss_of(weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, y: Tensor | None):
        with precision.autocast():
            out = functional_call(model, (weights, buffers), (x, y))
        return out["loss"].mean(), ({name: term.detach() for name, term in out.items()}, buffers)

    def step(x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        changed = {name: buffer.clone() for name, buffer in buffers.items()}
        gradients, (out, changed) = grad(loss_of, has_aux=True)(params, changed, x, y)
        with torch.no_grad():
            means = torch.stack(list(out.values())).mean(1)  # (T,)
            found = list(gradients.values())
            norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(found)))
            if clip_norm is not None:
                scale = (clip_norm / (norm + 1e-6)).clamp(max=1)  # as torch.nn.utils.clip_grads_with_norm_
                found = torch._foreach_mul(found, scale)
            latch.check(torch.cat([means, norm[None]]))
            latch.hold([changed[name] for name in buffers], list(buffers.values()))
            for name, buffer in buffers.items():
                buffer.copy_(changed[name])
            optimizer.plain_step(dict(zip(places, found, strict=True)), latch.suppress)
        return {**dict(zip(out, means.unbind(), strict=True)), "grad_norm": norm}

    run = _compiled(step)

    def prepared(x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        if latch.bad_values is None:
            latch.prepare(len(_terms(model, x, y)) + 1)  # what is made while tracing is compiled again without
        return run(x, y)

    return prepared


def _terms(model: nn.Module, x: Tensor, y: Tensor | None) -> list[str]:
    """Names of what a forward pass returns, which draws no random numbers and changes no buffer here."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.random.fork_rng([x.device] if x.is_cuda else []), torch.no_grad():
        return list(functional_call(model, buffers, (x[:2], None if y is None else y[:2])))


def _compiled(step: Step) -> Step:
    # A code object of its own: what has been compiled is kept with it, for at most 8 functions, and a sweep has more.
    own = FunctionType(step.__code__.replace(), step.__globals__, step.__name__, step.__defaults__, step.__closure__)
    return torch.compile(own, dynamic=False, fullgraph=True, **BACKEND)
