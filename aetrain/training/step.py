"""One optimizer step, as a pure function of the batch: no host synchronisation, no branch on a tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from aetrain.device import Precision
from aetrain.models import Autoencoder

Step = Callable[..., dict[str, Tensor]]


class Latch:
    """Remembers, on the device, the first step whose loss, terms or gradient norm was not finite.

    `suppress` is 1 from there on (with skip: during such steps only) and serves the fused optimizers as found_inf, so
    that no update uses the bad numbers. The host looks at it when it reads the meters, not at every step.

    members: K for a stack, whose members are latched one by one: see `share`.
    """

    def __init__(self, device: torch.device, skip: bool = False, members: int | None = None):
        self.skip = skip
        shape = () if members is None else (members,)
        self.suppress = torch.zeros(shape, device=device, dtype=torch.float32)
        self.bad_steps = torch.zeros(shape, device=device, dtype=torch.int64)
        self.bad_values: Tensor | None = None  # which of the checked values were bad at first_bad: (T,) bool
        self._good = torch.ones(shape, device=device, dtype=torch.bool)  # until the first bad step
        self._good_steps = torch.zeros(shape, device=device, dtype=torch.int64)  # before the first bad one
        self._told: int | None = None  # first_bad, where the host has been told, see `tell`

    @property
    def first_bad(self) -> int:
        """The first bad step, counted from 0 and from this latch's first; -1 if there was none. Asks the device."""
        if self._told is not None:
            return self._told
        return -1 if self._good else int(self._good_steps)

    def rows(self) -> Tensor:
        """Of a stack, what `tell` is told of each member: (K,) int64."""
        return torch.where(self._good, -1, self._good_steps)

    def tell(self, first_bad: int | None) -> None:
        """For a stack's member: what `first_bad` would ask the device for, until it is told None."""
        self._told = first_bad

    def prepare(self, count: int) -> None:
        """Make room for so many values of a step, T."""
        self.bad_values = torch.zeros(*self._good.shape, count, device=self._good.device, dtype=torch.bool)

    def check(self, values: Tensor) -> None:
        """values: (T,) of one step, or (K, T)."""
        bad = (values - values).ne(0)  # x − x is NaN where x is NaN or infinite: half the operations of isfinite
        if self.bad_values is None:
            self.prepare(values.shape[-1])
        now = bad.any(-1)
        self.bad_values |= bad & self._good.unsqueeze(-1)
        self._good.gt_(now)  # good, and not bad now
        self._good_steps += self._good
        self.bad_steps += now
        if self.skip:
            self.suppress.copy_(now)
        else:
            torch.logical_not(self._good, out=self.suppress)

    def hold(self, buffers: Sequence[Tensor], before: Sequence[Tensor]) -> None:
        """Undo what a suppressed step has done to the model's buffers. before: copies from before the step. Both (…),
        or (K, …) of a stack."""
        for buffer, held in zip(buffers, before, strict=True):
            suppress = self.suppress.view(*self.suppress.shape, *(1,) * (buffer.ndim - self.suppress.ndim))
            buffer.copy_(torch.where(suppress > 0, held, buffer))

    def share(self, members: Sequence[Latch]) -> None:
        """Make each of the K members' latches the view of its row, after a first check."""
        for k, member in enumerate(members):
            for name in ("suppress", "bad_steps", "bad_values", "_good", "_good_steps"):
                setattr(member, name, getattr(self, name)[k])


def moving(model: Autoencoder) -> dict[str, Tensor]:
    """The buffers that a forward pass in training changes: moving averages, counters, a codebook. Those that are part
    of a checkpoint: hparams are not, which the configuration holds."""
    stored = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name in stored}


def objective(model: Autoencoder, out: dict[str, Tensor]) -> Tensor:
    """What a step minimises: the loss and what the model's adversary minimises. out: what the model returned, (…, B)
    each -> (…, B)."""
    return sum((out[name] for name in model.adversary()), out["loss"])


def trained_groups(optimizer: Any) -> list[list[Tensor]]:
    """The parameters with gradients, in the optimizer's groups. Each is clipped by its own norm: of two players,
    neither then shortens the other's steps."""
    groups = [[p for p in group["params"] if p.requires_grad] for group in optimizer.param_groups]
    return [params for params in groups if params]


def make_step(model: Autoencoder, optimizer: Any, precision: Precision, clip_norm: float | None = None,
              latch: Latch | None = None) -> Step:  # fmt: skip
    """step(x, y=None) -> detached batch means of the loss, of every term, and the norm of the gradient before clipping,
    of the optimizer's first group.

    x: (B, C, H, W) in [0, 1], y: labels (B,). The means are 0-D tensors on the device.
    """
    groups, buffers = trained_groups(optimizer), list(moving(model).values())
    scaler = precision.scaler

    def clipped(params: list[Tensor]) -> Tensor:
        gradients = [p.grad for p in params if p.grad is not None]
        # torch.nn.utils.get_total_norm, without its grouping by device and dtype.
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        if clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(params, clip_norm, norm)
        return norm

    def step(x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        held = [buffer.clone() for buffer in buffers]
        with precision.autocast():
            out = model(x, y)  # each (B,)
        optimizer.zero_grad(set_to_none=True)
        loss = objective(model, out).mean()
        with torch.no_grad():
            means = torch.stack(list(out.values())).mean(1)  # (T,)
        if scaler:
            # A gradient that overflows in fp16 is the scaler's business: it skips the step and lowers its scale. It
            # also owns found_inf, so that the latch acts through the gradients: times NaN they are none.
            if latch is not None:
                latch.check(means)
                loss = loss * torch.where(latch.suppress > 0, torch.nan, 1.0)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
        else:
            loss.backward()
        norms = [clipped(params) for params in groups]
        if scaler:
            scaler.step(optimizer)
            scale = [value.clone() for value in (scaler._scale, scaler._growth_tracker)]
            scaler.update()
            if latch is not None:  # a step that the latch leaves out says nothing about the scale
                for value, before in zip((scaler._scale, scaler._growth_tracker), scale, strict=True):
                    value.copy_(torch.where(latch.suppress > 0, before, value))
        else:
            if latch is not None:
                latch.check(torch.cat([means, torch.stack(norms)]))
                optimizer.found_inf = latch.suppress
            optimizer.step()
        if latch is not None:
            latch.hold(buffers, held)
        return {**dict(zip(out, means.unbind(), strict=True)), "grad_norm": norms[0]}

    return step
