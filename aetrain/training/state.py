"""What a checkpoint holds of a training, and how a training goes on from it."""

from __future__ import annotations

import logging
import time
from typing import Any, Protocol

import torch

from aetrain.device import Precision
from aetrain.errors import UserError
from aetrain.models import Autoencoder
from aetrain.noise import mix
from aetrain.run import Run
from aetrain.training.meters import Meters
from aetrain.training.schedules import Scheduler
from aetrain.training.signals import Requests
from aetrain.training.step import Latch

log = logging.getLogger(__name__)


class Training(Protocol):
    """What checkpoints hold, or who writes them needs to know, of a training."""

    config: Any
    plain_config: dict[str, Any]
    content: str | None
    model: Autoencoder
    optimizer: Any
    precision: Precision
    scheduler: Scheduler
    latch: Latch
    meters: Meters
    run: Run
    requests: Requests
    device: torch.device
    compiled: bool
    stacked: bool
    step: int
    first_step: int
    total_steps: int
    started: float
    best: dict[str, float]
    last_metrics: dict[str, float]
    stopped_early: bool
    pending: bool
    skipped_before: int

    @property
    def epoch(self) -> float: ...

    @property
    def finished(self) -> bool: ...

    def skipped_steps(self) -> int: ...


def capture(training: Training) -> dict[str, Any]:
    """Everything that a run needs to go on, in plain containers."""
    scaler, cuda = training.precision.scaler, training.device.type == "cuda"
    return {
        "config": training.plain_config,
        "facts": training.model.facts.plain(),
        "content": training.content,
        "overrides": list(training.run.overrides),
        "position": training.run.position(),
        "machine": machine(training.device),
        "compiled": training.compiled,
        "model": training.model.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "scaler": scaler.state_dict() if scaler else None,
        "rng": {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state(training.device) if cuda else None},
        "meters": training.meters.state_dict(),
        "step": training.step,
        "total_steps": training.total_steps,
        "epoch": training.epoch,
        "seconds": time.monotonic() - training.started,
        "skipped": training.skipped_steps(),
        "best": dict(training.best),
        "stopped_early": training.stopped_early,
        "metrics": dict(training.last_metrics),
        "pending": training.pending,
    }


def frozen(training: Training, everything: bool) -> dict[str, Any]:
    """`capture` of now, whatever becomes of the meters and, with everything, of weights and optimizer."""
    content = capture(training)
    changing = ("model", "optimizer", "scaler", "meters") if everything else ("meters",)
    return content | {part: _copied(content[part]) for part in changing}


def _copied(node: Any) -> Any:
    """Of lists, L-BFGS's history, only themselves: nothing writes into what they hold."""
    if isinstance(node, torch.Tensor):
        return node.clone()
    if isinstance(node, dict):
        return {key: _copied(value) for key, value in node.items()}
    return list(node) if isinstance(node, list) else node


def restore(training: Training, state: dict[str, Any]) -> None:
    """Go on from a checkpoint's state, as if the run had never stopped. Raises a UserError if it does not fit."""
    settings = [{k: v for k, v in group.items() if k != "params"} for group in training.optimizer.param_groups]
    rates = [float(group["lr"]) for group in settings]  # the groups' may be tensors, which loading overwrites
    try:
        training.model.load_state_dict(state["model"])
        training.optimizer.load_state_dict(state["optimizer"])
        if training.precision.scaler and state["scaler"]:
            training.precision.scaler.load_state_dict(state["scaler"])
        training.meters.load_state_dict(state["meters"], training.device)
        training.step, training.skipped_before = state["step"], state["skipped"]
        training.best = {"val/loss": float(state["best"]["val/loss"]), "epoch": int(state["best"]["epoch"])}
        training.last_metrics = {tag: float(value) for tag, value in state["metrics"].items()}
        training.stopped_early = stays_stopped(state, training.config)
        training.pending = bool(state.get("pending", False))
        _restore_noise(training, state)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{training.run.folder}/checkpoints/last.pt: does not fit this run ({reason})") from error
    # The configuration is the only source of the optimizer's settings; it may have been changed on resuming.
    for group, values, lr in zip(training.optimizer.param_groups, settings, rates, strict=True):
        group.update(values)
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(lr)
    if (here := machine(training.device)) != state["machine"]:
        log.warning("warning: resumed on %s, was %s: results agree, but not to the bit", here, state["machine"])
    if state.get("compiled", training.compiled) != training.compiled:
        how = "compiled, was eager" if training.compiled else "eager, was compiled"
        log.warning("warning: resumed with steps that are %s: results agree, but not to the bit", how)
    if state["total_steps"] != training.total_steps and training.scheduler.active:
        log.warning(
            "warning: a schedule was planned for %d steps and is for %d from here on: the result differs from "
            "that of a run of this length", state["total_steps"], training.total_steps,
        )  # fmt: skip
    log.info("resumed at step %d of %d", training.step, training.total_steps)


def _restore_noise(training: Training, state: dict[str, Any]) -> None:
    """The generator goes on where it was. On a device of another kind there is no such place: it starts anew, as a
    function of seed and step, and does not draw the first steps' noise again."""
    was_cuda, is_cuda = state["rng"]["cuda"] is not None, training.device.type == "cuda"
    torch.set_rng_state(state["rng"]["cpu"])
    if was_cuda != is_cuda:
        torch.manual_seed(mix(training.config.seed, "resumed on a device of another kind", training.step))
    elif is_cuda:
        torch.cuda.set_rng_state(state["rng"]["cuda"], training.device)


def machine(device: torch.device) -> dict[str, Any]:
    """What the bits of a result depend on beside configuration and seed."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"torch": str(torch.__version__), "threads": torch.get_num_threads(), "device": name}


def stays_stopped(state: dict[str, Any], config) -> bool:
    """Whether early stopping ended the checkpoint's run, and would again with the configuration's patience."""
    patience = config.trainer.patience
    return state["stopped_early"] and patience is not None and state["epoch"] - state["best"]["epoch"] >= patience
