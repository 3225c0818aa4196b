"""The optimizers, from their configuration."""

from __future__ import annotations

import torch
from torch import nn


def build_optimizer(config, model: nn.Module) -> torch.optim.Optimizer:
    """torch's fused optimizers: one pass over all parameters, and updates that a found_inf tensor suppresses without
    the host looking at it (see step.py)."""
    params = list(model.parameters())
    common = {"lr": config.lr, "weight_decay": config.weight_decay, "fused": True}
    if config.name == "sgd":
        return torch.optim.SGD(params, momentum=config.momentum, **common)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name]
    return kind(params, betas=tuple(config.betas), eps=config.eps, **common)
