"""The step under torch.compile, from the forward pass to the optimizer's update."""

from __future__ import annotations

from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad

from aetrain.device import Precision
from aetrain.training.optimizer import Fused
from aetrain.training.step import Latch, Step, moving, objective, trained_groups

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
    names = {p: name for name, p in params.items()}
    groups = [[names[p] for p in group] for group in trained_groups(optimizer)]
    order = {p: i for i, p in enumerate(p for group in optimizer.param_groups for p in group["params"])}
    places = {name: order[p] for name, p in params.items()}

    def loss_of(weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, y: Tensor | None):
        with precision.autocast():
            out = functional_call(model, (weights, buffers), (x, y))
        return objective(model, out).mean(), ({name: term.detach() for name, term in out.items()}, buffers)

    def step(x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        changed = {name: buffer.clone() for name, buffer in buffers.items()}
        gradients, (out, changed) = grad(loss_of, has_aux=True)(params, changed, x, y)
        with torch.no_grad():
            means = torch.stack(list(out.values())).mean(1)  # (T,)
            norms, clipped = [], {}
            for group in groups:
                found = [gradients[name] for name in group]
                norms.append(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(found))))
                if clip_norm is not None:
                    scale = (clip_norm / (norms[-1] + 1e-6)).clamp(max=1)  # as torch.nn.utils.clip_grads_with_norm_
                    found = torch._foreach_mul(found, scale)
                clipped |= {places[name]: g for name, g in zip(group, found, strict=True)}
            latch.check(torch.cat([means, torch.stack(norms)]))
            latch.hold([changed[name] for name in buffers], list(buffers.values()))
            for name, buffer in buffers.items():
                buffer.copy_(changed[name])
            optimizer.plain_step(clipped, latch.suppress)
        return {**dict(zip(out, means.unbind(), strict=True)), "grad_norm": norms[0]}

    run = _compiled(step)

    def prepared(x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        if latch.bad_values is None:
            # What is made while tracing is compiled again without.
            latch.prepare(len(_terms(model, x, y)) + len(groups))
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
