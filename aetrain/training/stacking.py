"""K trainings that differ only in hparams, stepped as one model with stacked parameters.

The members stay what they are, with their own logs, validations and checkpoints: their parameters, hparams, optimizer
state, meters and latches become rows of the stack's, so that what the stack's step writes, they read.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from aetrain.console import ProgressBar, about
from aetrain.device import Precision
from aetrain.errors import AetrainError, Interrupted
from aetrain.evaluation.together import evaluate_together
from aetrain.models import Autoencoder
from aetrain.training.loop import Training
from aetrain.training.meters import Meters
from aetrain.training.optimizer import Fused, grouped
from aetrain.training.running import Graphed, captures, runner
from aetrain.training.step import Latch, Step, moving, objective, trained_groups

PORTION = 4  # batches of a training step that are evaluated together: about what the step's activations take


def make_stacked_step(model: Autoencoder, params: dict[str, Tensor], buffers: dict[str, Tensor], optimizer: Fused,
                      precision: Precision, clip_norm: float | None, latch: Latch) -> Step:  # fmt: skip
    """step(x, y=None) -> batch means of the loss, of every term, and the norms of the gradients before clipping, of the
    optimizer's first group, (K,) each.

    model: whose forward pass all members share. params and buffers: theirs by name, (K, …). x: (B, C, H, W), y: (B,),
    the same for all members, as is the noise: randomness="same" draws what each would have drawn alone.
    """

    def alone(params: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor, y: Tensor | None) -> dict[str, Tensor]:
        return functional_call(model, (params, buffers), (x, y))

    forward = vmap(alone, in_dims=(0, 0, None, None), randomness="same")
    groups, changing = trained_groups(optimizer), [buffers[name] for name in moving(model)]

    def clipped(params: list[Tensor]) -> Tensor:
        """Norms of one group's gradients before clipping: (K,)."""
        gradients = [p.grad for p in params if p.grad is not None]
        norms = torch.stack([g.reshape(len(g), -1).norm(dim=1) for g in gradients]).norm(dim=0)
        if clip_norm is not None:
            scale = (clip_norm / (norms + 1e-6)).clamp(max=1)  # as torch.nn.utils.clip_grad_norm_, member by member
            for g in gradients:
                g.mul_(scale.view(-1, *(1,) * (g.ndim - 1)))
        return norms

    def step(x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        before = [buffer.clone() for buffer in changing]
        with precision.autocast():
            out = forward(params, buffers, x, y)  # each (K, B)
        optimizer.zero_grad()
        objective(model, out).mean(1).sum().backward()  # a sum, so that no member changes another's gradient
        with torch.no_grad():
            means = torch.stack(list(out.values())).mean(2)  # (T, K)
        norms = torch.stack([clipped(params) for params in groups])  # (groups, K)
        latch.check(torch.cat([means, norms]).T)
        latch.hold(changing, before)
        optimizer.step()
        return {**dict(zip(out, means.unbind(), strict=True)), "grad_norm": norms[0]}

    return step


class Stack:
    """Trainings at the same step, of configurations that differ only in hparams (see sweeps/groups.py).

    A member that ends early, or whose numbers go wrong, is finished there and then; its row runs on, ignored.
    """

    def __init__(self, trainings: Mapping[str, Training]):
        """trainings: by the names that log lines about them carry."""
        members = list(trainings.values())
        first = members[0]
        if len({member.step for member in members}) != 1:
            raise ValueError("the members of a stack must be at the same step")
        self.active, self.members, self.step = dict(trainings), members, first.step
        models = [member.model for member in members]
        params = _rows_of([dict(model.named_parameters()) for model in models])
        params = {name: p.requires_grad_() for name, p in params.items()}
        buffers = _rows_of([dict(model.named_buffers()) for model in models])
        rates = [group["lr"] for group in first.optimizer.param_groups]  # no hparams, so the same for all
        self.optimizer = Fused(first.config.optimizer, *grouped(params, models[0].groups(), rates))
        self.optimizer.share([member.optimizer for member in members])
        for member in members:
            for group, lr in zip(member.optimizer.param_groups, rates, strict=True):
                group["lr"] = lr  # on a GPU one tensor, of which the first member's schedule is
        self.latch = Latch(first.device, members=len(members))
        self.meters = Meters()
        clip_norm = first.config.trainer.clip_norm
        step = make_stacked_step(models[0], params, buffers, self.optimizer, first.precision, clip_norm, self.latch)
        self._rows, self._schedule = (params, buffers), StackSchedule(self.optimizer, members, buffers)
        self.run_steps = runner(first.config, step, first.batches, self.meters, self._schedule, first.device)
        self.slow = not isinstance(self.run_steps, Graphed)  # see Training

    def fit(self, conclude: Callable[[str, Training], object],
            give_up: Callable[[str, Training, AetrainError | Interrupted], object]) -> None:  # fmt: skip
        """Train all members to their ends. Each is handed to `conclude` when it has made its steps, or to `give_up`
        with the reason why it cannot go on. Raises Interrupted after all checkpoints have been written."""
        first = self.members[0]

        def each(action: Callable[[Training], object]) -> None:
            for name, member in list(self.active.items()):
                with about(name):
                    try:
                        action(member)
                        with first.requests.at_once():  # what has come meanwhile, too
                            if not member.finished:
                                continue
                            conclude(name, member)
                    except AetrainError as error:
                        give_up(name, member, error)
                    del self.active[name]

        try:
            if self.step == 0 or any(member.pending for member in self.members):
                self._evaluate("val")
            self._evaluate_end()
            each(Training.begin)
            self._forget()
            bar = ProgressBar(first.total_steps, self.step, first.config.trainer.epochs)
            with bar as first.bar, first.requests.deferred():
                self._run(first, each)
        except Interrupted:
            interrupt = first.requests.interrupted(f"step {self.step}", first.run.folder.parent)
            for name, member in self.active.items():
                with about(name):
                    reason = interrupt
                    try:
                        member.checkpoints.save_interrupted()
                    except AetrainError as error:
                        reason = error
                    give_up(name, member, reason)
            raise interrupt from None

    def _run(self, first: Training, each: Callable[[Callable[[Training], object]], None]) -> None:
        while self.active:
            self._steps()
            for member in self.active.values():
                member.step = self.step
            first.bar.advance(self.step, math.ceil(next(iter(self.active.values())).epoch))
            # One clock for all: members whose checkpoints are of different steps could not go on as a stack.
            saved_at = min(member.checkpoints.saved_at for member in self.active.values())
            for member in self.active.values():
                member.checkpoints.saved_at = saved_at
            due = [member.is_due() for member in self.active.values()]  # of each: it looks at the clock
            if any(due):
                is_late = any(member.is_out_of_time for member in self.active.values())
                for member in self.active.values():
                    member.pending, member.is_out_of_time = True, is_late
                self._tell()
                if is_late or self.step % first.batches.per_epoch == 0 or self.step == first.total_steps:
                    self._evaluate("val")
                self._evaluate_end()
                each(Training.look)
                self._forget()
            if first.requests.checkpoint:
                each(lambda member: member.checkpoints.save("last"))
            first.requests.answer(f"step {self.step}", first.run.folder.parent)

    def _steps(self) -> None:
        most = min(member.ahead() for member in self.active.values())
        linked = bool(self.meters.names)
        began = time.perf_counter()
        with ExitStack() as guards:
            if self.slow and not captures(self.run_steps, most):
                for member in self.active.values():
                    guards.enter_context(member.checkpoints.interruptible(everything=True))
            done = self.run_steps(self.step, most)
        self.slow = self.members[0].is_slow(time.perf_counter() - began)
        if not linked:
            self.meters.share([member.meters for member in self.members])
            self.latch.share([member.latch for member in self.members])
        self.step += done
        self._forget()

    def _evaluate_end(self) -> None:
        """The test of all that have made their steps; the best weights are each member's own business."""
        first = self.members[0]
        if self.step == first.total_steps and first.config.trainer.test == "last":
            self._evaluate("test")

    def _evaluate(self, split: str) -> None:
        """Tell the members what their next evaluation of this split would find."""
        first, images = self.members[0], getattr(self.members[0].splits, split)
        if not len(images):
            return
        trainer, models = first.config.trainer, [member.model for member in self.members]
        self._schedule.apply(first.total_steps)
        portion = min(trainer.eval_batch_size, PORTION * trainer.batch_size)
        with first.requests.at_once():
            seed = first.held_out.seed(split)
            found = evaluate_together(models, *self._rows, images, portion, seed, first.precision)
        for member, evaluation in zip(self.members, found, strict=True):
            member.held_out.tell(split, evaluation)

    def _tell(self) -> None:
        """Tell the members what they are about to read of their meters and latches: one copy to the host for all."""
        rows = torch.cat([self.meters.rows(), self.latch.rows().double().unsqueeze(1)], dim=1)
        for member, (*sums, first_bad) in zip(self.members, rows.tolist(), strict=True):
            member.meters.tell(sums)
            member.latch.tell(int(first_bad))

    def _forget(self) -> None:
        """What members were told and have not asked for: it is no longer so."""
        for member in self.members:
            member.latch.tell(None)
            member.held_out.forget()


class StackSchedule:
    """The members' schedules as one: a copy per value, not one per member."""

    def __init__(self, optimizer: Fused, members: Sequence[Training], buffers: Mapping[str, Tensor]):
        """buffers: the stack's, (K,) each."""
        self._groups = [one.param_groups for one in (members[0].optimizer, optimizer, *(m.optimizer for m in members))]
        self._schedulers = [member.scheduler for member in members]
        # What any of them schedules; the others hold it where it is.
        names = dict.fromkeys(name for scheduler in self._schedulers for name in scheduler.hparams(0))
        self._held = [{name: getattr(member.config.model, name) for name in names} for member in members]
        self._rows = [buffers[name] for name in names]
        own = self._schedulers[0].places  # the learning rates, which all share, and the first member's hparams
        self._rates = len(own) - len(self._schedulers[0].hparams(0))
        self.places = [*own[: self._rates], *self._rows]

    def values(self, step: int) -> list[float | list[float]]:
        rates = self._schedulers[0].values(step)[: self._rates]
        pairs = zip(self._held, self._schedulers, strict=True)
        members = [(held | scheduler.hparams(step)).values() for held, scheduler in pairs]
        return [*rates, *map(list, zip(*members, strict=True))]

    def apply(self, step: int) -> None:
        self._schedulers[0].apply_lr(step)
        for first, *others in zip(*self._groups, strict=True):
            for group in others:
                group["lr"] = first["lr"]  # a number on the CPU
        for row, values in zip(self._rows, self.values(step)[self._rates :], strict=True):
            row.copy_(torch.tensor(values, dtype=row.dtype), non_blocking=True)


def _rows_of(tensors: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Each name's K tensors stacked, (K, …), and themselves made the views of their rows."""
    stacked = {name: torch.stack([named[name].detach() for named in tensors]) for name in tensors[0]}
    for k, named in enumerate(tensors):
        for name, tensor in named.items():
            tensor.data = stacked[name][k]
    return stacked
