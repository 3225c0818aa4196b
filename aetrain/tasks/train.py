"""task=train: train a model, then evaluate it on the test split."""

from __future__ import annotations

import logging
import math
import shlex
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from aetrain import device, models
from aetrain.config import stored
from aetrain.config.rules import total_steps
from aetrain.config.schema.task import explore
from aetrain.config.words import suggest
from aetrain.console import table
from aetrain.data.load import load
from aetrain.data.split import Splits
from aetrain.errors import AetrainError, Interrupted, RunFailed, UserError
from aetrain.evaluation import collapse
from aetrain.evaluation.terms import evaluate
from aetrain.files import read_json
from aetrain.folder import continued
from aetrain.pictures.curves import curves
from aetrain.run import Run
from aetrain.training import checkpoint
from aetrain.training.compiling import is_compiled
from aetrain.training.loading import start_from
from aetrain.training.loop import Training
from aetrain.training.out_of_memory import is_out_of_memory
from aetrain.training.signals import Requests, listening
from aetrain.training.state import restore, stays_stopped

log = logging.getLogger(__name__)

MOST_PAIRED = 32  # dimensions of a code whose pairs are in result.json


def run(config, folder: Path, overrides: list[str], resumed: bool = False) -> float | None:
    """Train into `folder`, or continue where its last checkpoint ends. Returns the objective metric."""
    with explained(config, folder), listening() as requests:
        where = device.resolve(config.device)
        if is_done_for_good(config, folder):
            log.info("nothing to do: %s has finished; its last checkpoint is gone", folder)
            return objective(config, result(folder)["metrics"])
        state = load_state(config, folder) if resumed else None
        if state and is_done(config, folder, state):
            log.info(
                "nothing to do: %s has finished (%d steps); add trainer.epochs=N to train longer", folder, state["step"]
            )
            return objective(config, result(folder)["metrics"])
        splits = load(config.data, where)
        training, metrics = fit(config, folder, overrides, splits, where, requests, state)
        tell(training, metrics)
        requests.answer("the end", folder)
    return objective(config, metrics)


def fit(config, folder: Path, overrides: list[str], splits: Splits, where: torch.device, requests: Requests,
        state: dict[str, Any] | None = None) -> tuple[Training, dict[str, float]]:  # fmt: skip
    """Train a model on `splits` into `folder`, from a checkpoint's state if given; returns the training and its last
    metrics, the test split's among them. Raises RunFailed or Interrupted, after writing down why."""
    with started(config, folder, overrides, splits, where, requests, state) as training:
        try:
            training.fit()
            return training, conclude(training)
        except AetrainError as error:
            write_off(training, error)
            raise
        except Interrupted:
            where = "the end" if training.is_concluded else f"step {training.step}"
            interrupt = requests.interrupted(where, folder)
            write_off(training, interrupt)
            raise interrupt from None


@contextmanager
def started(config, folder: Path, overrides: list[str], splits: Splits, where: torch.device, requests: Requests,
            state: dict[str, Any] | None, stacked: bool = False) -> Iterator[Training]:  # fmt: skip
    """A training that is ready to make its next step, with its folder open and locked until the end of the block."""
    began = time.monotonic()
    if config.model.needs_labels and (n := splits.unlabelled):
        raise UserError(
            f"model={config.model.name}: is given the class of every image, and {n:,} of data={config.data.name} have "
            "none; label them, or give model=vae"
        )
    if state:
        overrides = [*state["overrides"], *(o for o in overrides if o not in state["overrides"])]
    torch.manual_seed(config.seed)
    model = models.build(config.model, config.net, config.prior, splits.facts()).to(where)
    if config.init is not None and state is None:
        start_from(model, Path(config.init))
    parameters = sum(p.numel() for p in model.parameters())
    log.info("%s", folder)
    log.info(f"{config.model.name} with net={config.net.name}, {parameters:,} parameters")
    log.info(
        f"{len(splits.train):,} training images of {config.data.name}, {total_steps(config):,} steps, {where} in "
        f"{config.device.precision}"
    )
    with Run(folder, config, overrides) as out:
        compiled = not stacked and is_compiled(config, where, state)
        training = Training(config, model, splits, out, where, requests, stacked, compiled)
        if state:
            restore(training, state)  # before anything of what was there is changed: the checkpoint may not fit
            began -= state["seconds"]
        training.started = began
        if config.trainer.objective_metric:
            objective(config, _every_metric(training))  # refused now, not after hours
        out.open(state["position"], state["step"]) if state else out.open()
        yield training


def conclude(training: Training) -> dict[str, float]:
    """Test a finished training and write result.json; returns the last metrics. Raises RunFailed where
    the last update has left no finite loss: the latch checks steps, and there was no further one."""
    config, metrics = training.config, training.test()
    if not math.isfinite(metrics["test/loss"]):
        raise RunFailed(
            f"diverged: test/loss is not finite after step {training.step} (optimizer.lr={config.optimizer.lr}); try a "
            "smaller optimizer.lr or trainer.clip_norm=1"
        )
    shape = training.model.code_shape
    pairs = (*shape, *shape) if shape[0] <= MOST_PAIRED else None
    per_unit = {
        name: _rounded(value.tolist())
        for name, value in training.tested.diagnostics.items()
        if tuple(value.shape) in (tuple(shape), pairs)
    }
    rows = training.run.epochs()
    if len(rows) > 1 and any("/" in tag for tag in rows[0]):  # one point is no curve
        training.run.picture("curves.png", curves(rows))
    skipped = {"skipped_steps": training.skipped_steps()} if config.trainer.on_nonfinite == "skip" else {}
    with training.requests.deferred():
        training.run.finish(training.step, "done", metrics, time.monotonic() - training.started,
                            best=training.best_epoch(), tested=config.trainer.test, latent=per_unit,
                            **skipped)  # fmt: skip
        training.is_concluded = True
    return metrics


def _rounded(values: list[Any]) -> list[Any]:
    """For JSON, which has no NaN."""
    return [_rounded(v) if isinstance(v, list) else round(v, 6) if math.isfinite(v) else None for v in values]


def write_off(training: Training, error: AetrainError | Interrupted) -> None:
    """result.json of a training that did not finish."""
    if training.is_concluded:
        return
    status = "interrupted" if isinstance(error, Interrupted) else "failed"
    seconds = time.monotonic() - training.started
    with suppress(OSError):  # a full disk may be the very reason
        training.run.finish(training.step, status, training.last_metrics, seconds, reason=str(error))


def tell(training: Training, metrics: dict[str, float]) -> None:
    """What the user wants to know at the end."""
    for finding in findings(training):
        log.info(finding)
    tested = {tag: value for tag, value in metrics.items() if tag.startswith("test/")}
    title = f"test split, {len(training.splits.test):,} images:"
    log.info("%s", table(title, tested))
    if pictures := training.run.pictures():
        log.info("%s", textwrap.fill(f"pictures: {'  '.join(pictures)}", 80, subsequent_indent="  ",
                                     break_long_words=False, break_on_hyphens=False))  # fmt: skip
    folder = training.run.folder
    log.info("%s", folder)
    if not explore.not_shown(training.config):
        log.info("view it: aetrain explore run=%s", shlex.quote(str(folder)))


def findings(training: Training) -> list[str]:
    """What the user should know about the trained model, a sentence each."""
    model, steps = training.model, training.step
    collapsed = collapse.finding(model, training.splits.test, steps)
    is_short = steps < collapse.FEW_STEPS and training.config.optimizer.name != "lbfgs"
    found = [] if is_short else model.findings(training.tested.terms, training.tested.diagnostics)
    return found if collapsed is None or any("collapse:" in line for line in found) else [collapsed, *found]


def objective(config, metrics: dict[str, float]) -> float | None:
    """What a sweeper minimises: trainer.objective_metric; by default val/nelbo where the model has one, else val/recon.
    None without validation images. Raises a UserError for a metric that this run does not have."""
    wanted = config.trainer.objective_metric
    if wanted is None:
        return metrics.get("val/nelbo", metrics.get("val/recon"))
    if wanted not in metrics:
        raise UserError(f"trainer.objective_metric={wanted}: this run has no such metric; {suggest(wanted, metrics)}")
    return metrics[wanted]


def _every_metric(training: Training) -> dict[str, float]:
    """The metrics that the run will have, with the values of a few images."""
    split = training.splits.val if len(training.splits.val) else training.splits.train
    found = evaluate(training.model, split, 2, 0, training.precision, most=2)
    values = {f"train/{name}": value for name, value in found.terms.items()}
    if len(training.splits.val):
        values |= {f"val/{name}": value for name, value in found.terms.items()}
        values |= {f"val/{name}": float(v) for name, v in found.diagnostics.items() if v.ndim == 0}
    return values


def load_state(config, folder: Path) -> dict[str, Any] | None:
    """The folder's last checkpoint, checked against the configuration; None if the run ended before its first one, and
    starts over. Raises a UserError."""
    path = folder / "checkpoints" / "last.pt"
    if not path.exists():
        log.info("%s has no checkpoint yet: it starts at step 0", folder)
        return None
    state = checkpoint.load(path)
    checkpoint.check_state(path, state, config)
    checkpoint.check_content(path, state, config)
    return state


def is_done(config, folder: Path, state: dict[str, Any]) -> bool:
    """Whether the run has made all its steps and written its result."""
    finished = result(folder)["status"] == "done"
    return finished and (state["step"] >= total_steps(config) or stays_stopped(state, config))


def is_done_for_good(config, folder: Path) -> bool:
    """Whether the run is done and its last checkpoint was deleted, to save space say: its results stay. Raises a
    UserError where more training is requested."""
    found = result(folder)
    if found["status"] != "done" or (folder / "checkpoints" / "last.pt").exists():
        return False
    before = stored.read(folder / "config.yaml")
    more_steps = total_steps(config) > total_steps(before)
    stopped_early, patience = found["step"] < total_steps(before), config.trainer.patience
    more_patience = stopped_early and (patience is None or patience > (before.trainer.patience or 0))
    if more_steps or more_patience:
        raise UserError(
            f"{folder}: has finished, and cannot continue without its checkpoints/last.pt, which is gone; start a new "
            "run, or leave out what would make it longer"
        )
    return True


def result(folder: Path) -> dict[str, Any]:
    """result.json; with the status "none" where there is no usable one."""
    with suppress(UserError):
        found = read_json(folder / "result.json")
        if isinstance(found, dict) and isinstance(found.get("metrics"), dict) and type(found.get("step")) is int:
            return {"status": "none", **found}
    return {"status": "none", "step": 0, "metrics": {}}


@contextmanager
def explained(config, folder: Path) -> Iterator[None]:
    """Turn what the machine refuses (space, memory) into one line. Raises RunFailed."""
    try:
        yield
    except OSError as error:
        raise RunFailed(
            f"{error.filename or folder}: cannot be written ({error.strerror or error}); the checkpoints before it are "
            f"intact; make room, then continue with {continued(folder)}"
        ) from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        trainer = config.trainer
        raise RunFailed(
            f"out of memory on {config.device.name} with trainer.batch_size={trainer.batch_size} and "
            f"trainer.eval_batch_size={trainer.eval_batch_size}; lower them, model.latent_dim, net.hidden or "
            "net.channels, or give device.precision=bf16"
        ) from error
