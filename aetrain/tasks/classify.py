"""task=classify: autoencoders stacked greedily, then a classifier of their code, fine-tuned if wanted."""

from __future__ import annotations

import dataclasses
import logging
from functools import partial
from pathlib import Path

from aetrain.console import number, table
from aetrain.data.load import load
from aetrain.data.split import Splits
from aetrain.evaluation.classifier import Classifier, encoded, error_percent, softmax_regression
from aetrain.models import Autoencoder
from aetrain.tasks.stages import done, stage_config, stages
from aetrain.training.fine_tuning import fine_tune, fine_tune_lbfgs

log = logging.getLogger(__name__)


def run(config, folder: Path, overrides: list[str], resumed: bool = False) -> float:
    """Stage by stage: an autoencoder on the images, one on its codes, and so on; softmax regression on the last code;
    fine-tuning through all of it. Returns the last test error in percent."""
    task = config.task
    if resumed and (metrics := done(config, folder)) is not None:
        return _objective(metrics)
    with stages(config, folder, resumed) as stage_by_stage, stage_by_stage.writing(overrides) as metrics:
        splits = load(config.data, stage_by_stage.where)
        encoders: list[Autoencoder] = []
        codes = splits
        for i, units in enumerate(task.layers, start=1):
            stage = stage_config(config, latent_dim=units)
            if i > 1:  # codes are no pixels
                stage = dataclasses.replace(stage, data=dataclasses.replace(config.data, binarization="none"))
            model, found = stage_by_stage.train(f"layer{i}", stage, codes)
            metrics |= {f"layer{i}/{tag}": value for tag, value in found.items() if tag.startswith("test/")}
            encoders.append(model.eval())
            codes = _encoded(model, codes)
        head = softmax_regression(codes.train, splits.n_classes, task.softmax_decay, task.softmax_iterations)
        metrics["softmax/test_error"] = error_percent(Classifier([], head), codes.test)
        log.info("softmax regression on the code: %s %% test errors", number(metrics["softmax/test_error"]))
        if task.fine_tune:
            metrics["fine_tuned/test_error"] = _fine_tuned(config, Classifier(encoders, head), splits)
    log.info("%s\n%s", table(f"test split, {len(splits.test):,} images:", metrics), folder)
    return _objective(metrics)


def _objective(metrics: dict[str, float]) -> float:
    return metrics.get("fine_tuned/test_error", metrics["softmax/test_error"])


def _encoded(encoder: Autoencoder, splits: Splits) -> Splits:
    parts = {name: encoded(encoder, getattr(splits, name)) for name in ("train", "val", "test")}
    return Splits(**parts, n_classes=splits.n_classes)


def _fine_tuned(config, classifier: Classifier, splits: Splits) -> float:
    task = config.task

    def say(unit: str, done: int, of: int, error: float) -> None:
        log.info("fine-tuning, %s %d/%d: %s %% errors", unit, done, of, number(error))

    if task.fine_tune_optimizer == "lbfgs":
        fine_tune_lbfgs(classifier, splits.train, iterations=task.fine_tune_iterations, decay=task.fine_tune_decay,
                        say=partial(say, "iteration"))  # fmt: skip
    else:
        fine_tune(classifier, splits.train, splits.val, epochs=task.fine_tune_epochs, lr=task.fine_tune_lr,
                  batch_size=task.fine_tune_batch_size, decay=task.fine_tune_decay, seed=config.seed,
                  say=partial(say, "epoch"))  # fmt: skip
    error = error_percent(classifier, splits.test)
    log.info("fine-tuned: %s %% test errors", number(error))
    return error
