"""Schedules: a factor on a value as a pure function of the run's progress, so that a resumed run needs no memory of
them. Lengths and milestones are fractions of the run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from aetrain.config.schema.schedule import Schedule

if TYPE_CHECKING:  # the rules ask for factors without torch
    from torch import Tensor


def factor(schedule: Schedule, progress: float) -> float:
    """The factor at `progress` in [0, 1].

    constant: 1.
    linear: from `start` up (or down) to 1 over the first `length` of the run, then 1: a warm-up.
    cosine: from 1 to `end` on half a cosine (Loshchilov & Hutter 2017, one period).
    step: times `factor` at each of `milestones`.
    cyclical: `cycles` times from 0 to 1, linear over the first `length` of each cycle (Fu et al. 2019).
    """
    match schedule.kind:
        case "constant":
            return 1.0
        case "linear":
            return schedule.start + (1 - schedule.start) * min(1.0, progress / schedule.length)
        case "cosine":
            return schedule.end + (1 - schedule.end) * 0.5 * (1 + math.cos(math.pi * progress))
        case "step":
            return schedule.factor ** sum(progress >= milestone for milestone in schedule.milestones)
        case "cyclical":
            within = math.fmod(progress * schedule.cycles, 1.0) if progress < 1 else 1.0
            return min(1.0, within / schedule.length)
    raise ValueError(schedule.kind)


def _scheduled(config, model) -> dict[str, tuple]:
    """Name -> buffer, value and schedule of the model's hparams that change during a run."""
    buffers = dict(model.named_buffers(recurse=False))
    return {
        name: (buffers[name], getattr(config.model, name), schedule)
        for name, schedule in vars(config.model.schedule).items()
        if name in buffers and schedule.kind != "constant"
    }


def finish(config, model) -> None:
    """Set every hparam to what it is at the end of the run, with which a model is tested."""
    for buffer, value, schedule in _scheduled(config, model).values():
        buffer.fill_(value * factor(schedule, 1.0))


class Scheduler:
    """Writes every scheduled value in place before a step: the optimizer's learning rate and the model's hparams."""

    def __init__(self, config, model, optimizer, total_steps: int):
        self._optimizer, self._total = optimizer, total_steps
        self._rates = [
            config.optimizer.lr,
            *(own["lr"] for own in model.groups().values()),
        ]  # of the optimizer's groups
        self._lr_schedule = config.optimizer.schedule
        self._hparams = _scheduled(config, model)

    @property
    def active(self) -> bool:
        """Whether anything changes during the run."""
        return bool(self._hparams) or self._lr_schedule.kind != "constant"

    def lr(self, step: int) -> float:
        """The learning rate of the 0-based step; that of the optimizer's first group, where it has several."""
        return self._lrs(step)[0]

    def _lrs(self, step: int) -> list[float]:
        """Of every group of the optimizer."""
        times = factor(self._lr_schedule, step / self._total)
        return [rate * times for rate in self._rates]

    def hparams(self, step: int) -> dict[str, float]:
        """Those that change during the run, at the 0-based step."""
        progress = step / self._total
        return {name: value * factor(schedule, progress) for name, (_, value, schedule) in self._hparams.items()}

    @property
    def places(self) -> list[Tensor]:
        """What is written where it is a tensor: the learning rate on a GPU, and the hparams that change."""
        lrs = [group["lr"] for group in self._optimizer.param_groups if hasattr(group["lr"], "fill_")]
        changing = self._lr_schedule.kind != "constant"
        return [*(lrs if changing else []), *(buffer for buffer, _, _ in self._hparams.values())]

    def values(self, step: int) -> list[float]:
        """What the places hold at the 0-based step."""
        hparams = self.hparams(step)
        return self._lrs(step)[: len(self.places) - len(hparams)] + list(hparams.values())

    def apply(self, step: int) -> None:
        """Set every value to what it is at the 0-based step."""
        self.apply_lr(step)
        for name, value in self.hparams(step).items():
            self._hparams[name][0].fill_(value)

    def apply_lr(self, step: int) -> None:
        if self._lr_schedule.kind == "constant":
            return
        for group, lr in zip(self._optimizer.param_groups, self._lrs(step), strict=True):
            if hasattr(group["lr"], "fill_"):
                group["lr"].fill_(lr)
            else:
                group["lr"] = lr
