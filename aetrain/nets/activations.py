"""Activations by name, and their derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "relu": F.relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


# Their derivatives, as functions of the same argument.
SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": torch.ones_like,
    "relu": lambda x: (x > 0).to(x.dtype),
    "elu": lambda x: torch.exp(x.clamp(max=0)),
    "gelu": lambda x: 0.5 * (1 + torch.erf(x / math.sqrt(2))) + x * torch.exp(-0.5 * x * x) / math.sqrt(2 * math.pi),
    "silu": lambda x: torch.sigmoid(x) * (1 + x * torch.sigmoid(-x)),
    "softplus": torch.sigmoid,
    "tanh": lambda x: 1 - torch.tanh(x).square(),
    "sigmoid": lambda x: torch.sigmoid(x) * torch.sigmoid(-x),
}


def at_least_float32(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
