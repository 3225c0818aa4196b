"""The optimizers, from their configuration."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from aetrain.errors import UserError
from aetrain.lbfgs import lbfgs
from aetrain.models import Autoencoder

log = logging.getLogger(__name__)


def build_optimizer(config, model: Autoencoder, traced: bool = False) -> torch.optim.Optimizer | Fused:
    """An optimizer over torch's fused kernels, `Fused` on every device: one pass over all parameters, and updates that
    a `found_inf` tensor suppresses without the host looking at it (see step.py). With a torch whose kernels take other
    arguments it is torch.optim's, whose numbers are the same to the bit.

    On a GPU, and where its step is to be traced for torch.compile, the learning rate is a tensor, which schedules write
    in place: a CUDA graph reads it there, and what was compiled for one number would be compiled again for another.
    """
    params, own = dict(model.named_parameters()), model.groups()
    where = next(iter(params.values())).device
    if config.name == "lbfgs":
        if own:
            raise UserError(
                f"optimizer=lbfgs: model={model.config.name} has parts with a learning rate of their own "
                f"({', '.join(own)}), and L-BFGS has one for all; use optimizer=adam"
            )
        return lbfgs(list(params.values()), config.iterations, config.history, config.lr)
    rates: list[float | Tensor] = [config.lr, *(settings["lr"] for settings in own.values())]
    if where.type != "cpu":  # float32, which the kernels read, whatever the default dtype
        rates = [torch.tensor(lr, dtype=torch.float32, device=where) for lr in rates]
    elif traced:
        rates = [torch.tensor(lr, dtype=torch.float64) for lr in rates]
    groups = grouped(params, own, rates)
    if kernel_fits(config.name) or traced:
        return Fused(config, *groups)
    log.info("torch %s: its fused kernels are not those that aetrain knows; using torch.optim", torch.__version__)
    common = {"lr": rates[0], "weight_decay": config.weight_decay, "fused": True}
    if config.name == "sgd":
        groups = [{"params": group["params"], "lr": group["lr"]} for group in groups]
        optimizer = torch.optim.SGD(groups, momentum=config.momentum, **common)
        if config.momentum:  # torch makes these at the first step, uninitialised; a suppressed one would leave them so
            optimizer.state.update({p: {"momentum_buffer": torch.zeros_like(p)} for p in params.values()})
        return optimizer
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name]
    return kind(groups, betas=tuple(config.betas), eps=config.eps, capturable=where.type == "cuda", **common)


def grouped(params: Mapping[str, Tensor], own: Mapping[str, Mapping[str, Any]],
            rates: Sequence[float | Tensor]) -> list[dict[str, Any]]:  # fmt: skip
    """Parameters in groups, as torch.optim takes them: those of no part of `own` first, then part by part with its
    settings (see Autoencoder.groups). rates: the groups' learning rates."""

    def of(part: str | None) -> list[Tensor]:
        found = ((next((key for key in own if name.startswith(f"{key}.")), None), p) for name, p in params.items())
        return [p for key, p in found if key == part]

    settings = [{}, *own.values()]
    return [
        {**chosen, "params": of(part), "lr": lr} for part, chosen, lr in zip([None, *own], settings, rates, strict=True)
    ]


# The kernels are private operators of torch. A change of their arguments is seen here, one of their arithmetic by the
# test that compares Fused with torch.optim.
_ADAM = (
    "self, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, state_steps, lr, beta1, beta2, weight_decay, eps, amsgrad, "
    "maximize, grad_scale, found_inf"
)
_SGD = (
    "self, grads, momentum_buffer_list, weight_decay, momentum, lr, dampening, nesterov, maximize, is_first_step, "
    "grad_scale, found_inf"
)
_KERNELS = {"adam": ("_fused_adam_", _ADAM), "adamw": ("_fused_adamw_", _ADAM), "sgd": ("_fused_sgd_", _SGD)}


def kernel_fits(name: str) -> bool:
    """Whether this torch has the fused kernel of an optimizer with the arguments that `Fused` gives it."""
    kernel, expected = _KERNELS[name]
    operator = getattr(torch.ops.aten, kernel, None)
    return operator is not None and expected == ", ".join(a.name for a in operator.default._schema.arguments)


# Tensors that the CUDA kernels take in one launch are 36, and each block works off 65,536 elements of one of them: the
# 650,000 parameters of the default model keep 10 of 132 multiprocessors busy, and take 63 µs.
_PORTIONS = 28  # and a few more, since every tensor is cut by itself


def _in_portions(*lists: Sequence[Tensor]) -> list[list[Tensor]]:
    """The same elements as more and smaller tensors, which the kernel works off side by side. Cutting takes the host
    as long as it saves the device: for a graph, which is captured once."""
    size = -(-sum(tensor.numel() for tensor in lists[0]) // _PORTIONS)
    size = -(-size // 2048) * 2048  # what a block does at a time
    return [[part for tensor in tensors for part in tensor.view(-1).split(size)] for tensors in lists]


class Fused:
    """Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019) or SGD with momentum, by torch's fused kernels.

    The first optimizer of torch.optim that a process builds imports torch._dynamo, a compiler that nothing here needs:
    3 to 6 s at the start of every run. Its step also spends as long in Python as in the kernel (0.4 ms at 650,000
    parameters). `param_groups` and `state_dict` are laid out as in torch.optim, which reads them and is read.

    A step with found_inf = 1 changes nothing, the step count included. All parameters share that count: a parameter
    must have a gradient either at every step or at none.
    """

    # torch's GradScaler then hands over its own found_inf, where it would ask the device for it at every step. It sets
    # both and deletes them after the step, which brings these back. The gradients are unscaled by then.
    _step_supports_amp_scaling = True
    found_inf: Tensor | None = None
    grad_scale: Tensor | None = None

    def __init__(self, config, *groups: dict[str, Any]):
        """groups: parameters and learning rate of each, and what else differs from the configuration: see `grouped`."""
        common = {"weight_decay": config.weight_decay, "maximize": False}
        if config.name == "sgd":
            common |= {"momentum": config.momentum, "dampening": 0, "nesterov": False}
            slots = ["momentum_buffer"] if config.momentum else []
        else:
            common |= {"betas": tuple(config.betas), "eps": config.eps, "amsgrad": False}
            slots = ["exp_avg", "exp_avg_sq"]
        # What torch.optim keeps in a group besides.
        common |= {"foreach": None, "differentiable": False, "fused": True}
        common |= (
            {} if config.name == "sgd" else {"capturable": False, "decoupled_weight_decay": config.name == "adamw"}
        )
        known = {"params", "lr", *common}
        self.param_groups: list[dict[str, Any]] = [
            {key: value for key, value in {"params": [], "lr": 0.0, **common, **group}.items() if key in known}
            for group in groups
        ]
        params = self._params
        self._kernel = getattr(torch, _KERNELS[config.name][0], None)
        self._slots = {name: [torch.zeros_like(p) for p in params] for name in slots}
        self._steps = None if config.name == "sgd" else torch.zeros((), device=params[0].device, dtype=torch.float32)

    def share(self, members: Sequence[Fused]) -> None:
        """For a stack of K members, whose parameters are the rows of this optimizer's: take over their state, which is
        of the same step, and make it the view of this one's."""
        for name, slot in self._slots.items():
            for i, values in enumerate(slot):
                values.copy_(torch.stack([member._slots[name][i] for member in members]))
                for k, member in enumerate(members):
                    member._slots[name][i] = values[k]
        if self._steps is not None:
            self._steps.copy_(members[0]._steps)
            for member in members:
                member._steps = self._steps

    @property
    def _params(self) -> list[Tensor]:
        """Of all groups, in the order of the slots."""
        return [p for group in self.param_groups for p in group["params"]]

    def zero_grad(self, set_to_none: bool = True) -> None:
        for p in self._params:
            p.grad = None

    @torch.no_grad()
    def step(self) -> None:
        if self._steps is not None:
            self._steps += 1
        start = 0
        for group in self.param_groups:
            self._step_of(group, start)
            start += len(group["params"])
        if self._steps is not None and self.found_inf is not None:
            self._steps -= self.found_inf

    def _step_of(self, group: dict[str, Any], start: int) -> None:
        """start: place of the group's first parameter among all."""
        used = [i for i, p in enumerate(group["params"], start) if p.grad is not None]
        if not used:
            return
        params = [group["params"][i - start] for i in used]
        gradients = [p.grad for p in params]
        slots = [[slot[i] for i in used] for slot in self._slots.values()]
        if params[0].is_cuda and torch.cuda.is_current_stream_capturing():
            gradients = [g.contiguous() for g in gradients]  # one may come transposed
            params, gradients, *slots = _in_portions(params, gradients, *slots)
        common = {"lr": group["lr"], "weight_decay": group["weight_decay"], "maximize": False,
                  "found_inf": self.found_inf}  # fmt: skip
        if self._steps is None:
            # torch.optim copies the first gradient into a new buffer; added to zeros it is the same, and also after a
            # suppressed first step.
            self._kernel(params, gradients, *(slots or [[]]), momentum=group["momentum"], dampening=0, nesterov=False,
                         is_first_step=False, **common)  # fmt: skip
            return
        beta1, beta2 = group["betas"]
        self._kernel(params, gradients, *slots, [], [self._steps] * len(params), beta1=beta1, beta2=beta2,
                     eps=group["eps"], amsgrad=False, **common)  # fmt: skip

    def plain_step(self, gradients: Mapping[int, Tensor], suppress: Tensor) -> None:
        """`step` in operations that torch.compile can trace: the kernels' formulas, equal to them to rounding.
        gradients: by the place of their parameter. Where suppress, 0-D, is not 0, nothing changes, whatever they are.
        """
        keep, start = suppress.eq(0), 0
        if self._steps is not None:
            self._steps += keep
        for group in self.param_groups:
            stop = start + len(group["params"])
            self._plain_step_of(group, start, {i: g for i, g in gradients.items() if start <= i < stop}, keep)
            start = stop

    def _plain_step_of(self, group: dict[str, Any], start: int, gradients: Mapping[int, Tensor], keep: Tensor) -> None:
        """start: place of the group's first parameter among all."""
        lr, decay = group["lr"], group["weight_decay"]
        if self._steps is not None:
            beta1, beta2 = group["betas"]
            t = self._steps.double()
            first, second = 1 - beta1**t, (1 - beta2**t).sqrt()  # Kingma & Ba 2015, algorithm 1
        for i, g in gradients.items():
            shrunk = p = group["params"][i - start]
            if decay and group.get("decoupled_weight_decay"):
                shrunk = p - lr * decay * p
            elif decay:
                g = g + decay * p
            if self._steps is not None:
                m, v = (self._slots[name][i] for name in ("exp_avg", "exp_avg_sq"))
                mean, square = m + (1 - beta1) * (g - m), beta2 * v + (1 - beta2) * g * g
                update = lr / first * mean / (square.sqrt() / second + group["eps"])
                m.copy_(torch.where(keep, mean, m))
                v.copy_(torch.where(keep, square, v))
            elif self._slots:
                buffer = self._slots["momentum_buffer"][i]
                total = group["momentum"] * buffer + g
                update = lr * total
                buffer.copy_(torch.where(keep, total, buffer))
            else:
                update = lr * g
            p.copy_(torch.where(keep, shrunk - update, p))

    def state_dict(self) -> dict[str, Any]:
        """As torch.optim lays it out: {"state": {index: {slot: tensor}}, "param_groups": [...]}."""
        indices = list(range(len(self._params)))
        steps = {} if self._steps is None else {"step": self._steps}
        # A count of its own for each: torch.optim would add to a shared one once per parameter.
        state = {
            i: {name: count.clone() for name, count in steps.items()}
            | {name: slot[i] for name, slot in self._slots.items()}
            for i in indices
        }
        groups, places = [], iter(indices)
        for group in self.param_groups:
            groups.append({**group, "lr": float(group["lr"]), "params": [next(places) for _ in group["params"]]})
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, content: dict[str, Any]) -> None:
        """Take over the settings and the state of a `state_dict`, ours or torch.optim's. An empty state, which
        torch.optim has before its first step, is one of zeros. Raises ValueError where it is of other parameters."""
        params, state = self._params, content["state"]
        if not state:
            state = {i: dict.fromkeys(("step", *self._slots), torch.zeros(())) for i in range(len(params))}
        elif any(
            state[i][name].shape != p.shape for i, p in enumerate(params) for name in self._slots if name in state[i]
        ):
            raise ValueError("the optimizer's state is of other parameters")
        for group, saved in zip(self.param_groups, content["param_groups"], strict=True):
            group |= {key: value for key, value in saved.items() if key not in ("params", "lr") and key in group}
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(float(saved["lr"]))  # in its place, where a graph may read it
            else:
                group["lr"] = float(saved["lr"])
        for name, slot in self._slots.items():
            for i, values in enumerate(slot):
                values.copy_(state[i].get(name, torch.zeros(())))  # momentum may be new on resuming
        if self._steps is not None:
            self._steps.copy_(state[0]["step"])
