"""task=train: train a model, then evaluate it on the test split."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from aetrain import data, device, models
from aetrain.console import table
from aetrain.data import Splits
from aetrain.errors import AetrainError, Interrupted, RunFailed
from aetrain.run import Run
from aetrain.schema import total_steps
from aetrain.training import checkpoint
from aetrain.training.loop import Training, stays_stopped
from aetrain.training.signals import Requests, listening

log = logging.getLogger(__name__)

OUT_OF_MEMORY = re.compile(r"allocate memory|out of memory|ALLOC_FAILED")


def run(config, folder: Path, overrides: list[str], resumed: bool = False) -> float | None:
    """Train into `folder`, or go on where its last checkpoint ends. Returns val/nelbo where the model has one, else
    val/recon, or None without validation."""
    with explained(config, folder), listening() as requests:
        where = device.resolve(config.device)
        state = load_state(config, folder) if resumed else None
        if state and is_done(config, folder, state):
            log.info("nothing to do: %s is done (%d steps); trainer.epochs=… would continue it", folder, state["step"])
            return None
        splits = data.load(config.data, where)
        training, metrics = fit(config, folder, overrides, splits, where, requests, state)
        requests.answer("the end", folder)
    tested = {tag: value for tag, value in metrics.items() if tag.startswith(("test/", "latent/"))}
    for finding in training.model.findings(training.tested.diagnostics):
        log.info(finding)
    log.info("%s\n%s", table(f"test split, {len(splits.test):,} images:", tested), folder)
    return metrics.get("val/nelbo", metrics.get("val/recon"))


def fit(config, folder: Path, overrides: list[str], splits: Splits, where: torch.device, requests: Requests,
        state: dict[str, Any] | None = None) -> tuple[Training, dict[str, float]]:  # fmt: skip
    """Train a model on `splits` into `folder`, from a checkpoint's state if given; returns the training and its last
    metrics, the test split's among them. Raises RunFailed or Interrupted, after writing down why."""
    started = time.monotonic()
    if state:
        overrides = [*state["overrides"], *(o for o in overrides if o not in state["overrides"])]
    torch.manual_seed(config.seed)
    model = models.build(config.model, splits.facts()).to(where)
    parameters = sum(p.numel() for p in model.parameters())
    log.info(
        f"{config.model.name}: {parameters:,} parameters, {len(splits.train):,} training images, "
        f"{where} in {config.device.precision}"
    )
    with Run(folder, config, overrides) as out:
        training = Training(config, model, splits, out, where, requests)
        if state:
            training.restore(state)  # before anything of what was there is changed: the checkpoint may not fit
            started -= state["seconds"]
        training.started = started
        out.open(state and state["position"])
        try:
            training.fit()
            metrics = training.test()
        except (AetrainError, Interrupted) as error:
            status = "interrupted" if isinstance(error, Interrupted) else "failed"
            seconds = time.monotonic() - started
            with suppress(OSError):  # a full disk may be the very reason
                out.finish(training.step, status, training.last_metrics, seconds, reason=str(error))
            raise
        per_unit = {
            name: [round(float(v), 6) for v in value]
            for name, value in training.tested.diagnostics.items()
            if value.shape == (config.model.latent_dim,)
        }
        skipped = {"skipped_steps": training.skipped_steps()} if config.trainer.on_nonfinite == "skip" else {}
        out.finish(training.step, "done", metrics, time.monotonic() - started, best=training.best_epoch(),
                   latent=per_unit, **skipped)  # fmt: skip
    return training, metrics


def load_state(config, folder: Path) -> dict[str, Any] | None:
    """The folder's last checkpoint, checked against the configuration; None if the run ended before its first one, and
    begins anew. Raises a UserError."""
    path = folder / "checkpoints" / "last.pt"
    if not path.exists():
        log.info("%s has no checkpoint yet: it starts at step 0", folder)
        return None
    state = checkpoint.load(path)
    checkpoint.check_state(path, state, config)
    return state


def is_done(config, folder: Path, state: dict[str, Any]) -> bool:
    """Whether the run has made all its steps and written its result."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        finished = json.loads((folder / "result.json").read_text())["status"] == "done"
        return finished and (state["step"] >= total_steps(config) or stays_stopped(state, config))
    return False


@contextmanager
def explained(config, folder: Path) -> Iterator[None]:
    """Turn what the machine refuses (space, memory) into one line. Raises RunFailed."""
    try:
        yield
    except OSError as error:
        raise RunFailed(
            f"{error.filename or folder}: cannot be written ({error.strerror or error}); the checkpoints before it are "
            f"intact; make room, then continue with aetrain resume={folder}"
        ) from error
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        # torch's allocator on the CPU and CUDA's libraries raise plain RuntimeErrors.
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and not OUT_OF_MEMORY.search(str(error)):
            raise
        trainer = config.trainer
        raise RunFailed(
            f"out of memory on {config.device.name} with trainer.batch_size={trainer.batch_size} and "
            f"trainer.eval_batch_size={trainer.eval_batch_size}; lower them, model.hidden or model.channels, or give "
            "device.precision=bf16"
        ) from error
