"""What no implementation of a step can leave out: its matrix products and one pass over its parameters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

PRODUCTS = {
    getattr(torch.ops.aten, name).default
    for name in ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "convolution", "convolution_backward")
}


class Recorder(TorchDispatchMode):
    """Notes every matrix product and convolution that runs within, with operands of the same shapes and strides."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable, list]] = []

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        if op in PRODUCTS:
            product, operands = op, args
            if op.overloadpacket.__name__ in ("addmm", "addmv"):  # the product alone, without adding the bias
                product = getattr(torch.ops.aten, op.overloadpacket.__name__[3:]).default
                operands = args[1:]
            self.calls.append((product, [like(a) if isinstance(a, Tensor) else a for a in operands]))
        return op(*args, **(kwargs or {}))


def like(tensor: Tensor) -> Tensor:
    """Random numbers in a tensor of the same shape, strides, dtype and device."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device).normal_()


class Floor:
    """Replays the products of one call of `step`, and Adam's kernel over as many parameters as `model` has."""

    def __init__(self, step: Callable[[], object], model: torch.nn.Module):
        with Recorder() as recorder:
            step()
        self.calls = recorder.calls
        parameters = [p.detach().clone() for p in model.parameters()]
        where = parameters[0].device
        gradients, first, second = ([torch.rand_like(p) for p in parameters] for _ in range(3))
        steps = [torch.ones((), device=where) for _ in parameters]
        self.adam = (parameters, gradients, first, second, [], steps)

    def run(self, steps: int) -> None:
        with torch.no_grad():
            for _ in range(steps):
                for product, operands in self.calls:
                    product(*operands)
                torch._fused_adam_(*self.adam, lr=1e-3, beta1=0.9, beta2=0.999, weight_decay=0, eps=1e-8, amsgrad=False,
                                   maximize=False)  # fmt: skip
        if torch.cuda.is_available():
            torch.cuda.synchronize()
