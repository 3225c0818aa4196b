"""task=train: train a model, then evaluate it on the test split."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import torch

from aetrain import data, device, models
from aetrain.console import table
from aetrain.errors import AetrainError, Interrupted
from aetrain.run import Run
from aetrain.training.loop import Training

log = logging.getLogger(__name__)


def run(config, folder: Path, overrides: list[str]) -> float | None:
    """Train into `folder`. Returns val/nelbo where the model has one, else val/recon, or None without validation."""
    started = time.monotonic()
    where = device.resolve(config.device)
    torch.manual_seed(config.seed)
    splits = data.load(config.data, where)
    model = models.build(config.model, splits.facts()).to(where)
    parameters = sum(p.numel() for p in model.parameters())
    log.info(
        f"{config.model.name}: {parameters:,} parameters, {len(splits.train):,} training images, "
        f"{where} in {config.device.precision}"
    )
    with Run(folder, config, overrides) as out:
        training = Training(config, model, splits, out, where)
        try:
            training.fit()
            metrics = training.test()
        except AetrainError as error:
            status = "interrupted" if isinstance(error, Interrupted) else "failed"
            out.finish(training.step, status, training.last_metrics, time.monotonic() - started, reason=str(error))
            raise
        out.finish(training.step, "done", metrics, time.monotonic() - started, best=training.best_epoch())
    tested = {tag: value for tag, value in metrics.items() if tag.startswith(("test/", "latent/"))}
    log.info("%s\n%s", table(f"test split, {len(splits.test):,} images:", tested), folder)
    return metrics.get("val/nelbo", metrics.get("val/recon"))
