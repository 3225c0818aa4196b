"""The training loop. It knows steps, epochs, logs and checkpoints; it never names a model."""

from __future__ import annotations

import logging
import math
import time
from contextlib import nullcontext

import torch

from aetrain.config.rules import total_steps
from aetrain.config.tree import plain
from aetrain.console import ProgressBar
from aetrain.data.card import content_sum
from aetrain.data.split import Splits
from aetrain.device import Precision
from aetrain.epochs import EpochTable
from aetrain.evaluation.terms import Evaluation
from aetrain.folder import continued
from aetrain.models import Autoencoder
from aetrain.pictures.bars import bars
from aetrain.pictures.grids import Grid, codes, make_grids
from aetrain.run import Run
from aetrain.training.batches import Batches
from aetrain.training.compiled import make_compiled_step
from aetrain.training.divergence import check_finite
from aetrain.training.held_out import HeldOut
from aetrain.training.lbfgs import make_lbfgs_step
from aetrain.training.meters import Meters
from aetrain.training.optimizer import build_optimizer
from aetrain.training.profiling import profiling
from aetrain.training.running import Graphed, captures, runner
from aetrain.training.saving import Checkpoints
from aetrain.training.schedules import Scheduler
from aetrain.training.signals import Requests
from aetrain.training.step import Latch, make_step

log = logging.getLogger(__name__)

SLOW = 1.0  # seconds of a step from which on a signal does not wait for the end of the next one


class Training:
    """A model in training. What a checkpoint holds of it: see state.py."""

    def __init__(self, config, model: Autoencoder, splits: Splits, run: Run, device: torch.device, requests: Requests,
                 stacked: bool = False, compiled: bool = False):  # fmt: skip
        """compiled: whether the step is; see compiling.py."""
        self.requests, self.stacked = requests, stacked
        self.config, self.model, self.splits, self.run, self.device = config, model, splits, run, device
        self.plain_config = plain(config)
        self.content = content_sum(config.data)  # of the user's own data: a resumed run must see the same
        trainer = config.trainer
        self.precision = Precision.of(config.device.precision, device)
        data = config.data
        self.batches = Batches(
            splits.train, trainer.batch_size, config.seed, data.binarization == "dynamic", data.flip, data.shift
        )
        self.compiled = compiled
        self.optimizer = build_optimizer(config.optimizer, model, traced=compiled)
        if self.batches.size < trainer.batch_size:
            log.info(
                "trainer.batch_size=%d: the training split has %d images, and a batch takes them all",
                trainer.batch_size, self.batches.size,
            )  # fmt: skip
        self.total_steps = total_steps(config)
        self.scheduler = Scheduler(config, model, self.optimizer, self.total_steps)
        self.latch = Latch(device, skip=trainer.on_nonfinite == "skip")
        if config.optimizer.name == "lbfgs":
            step = make_lbfgs_step(model, self.optimizer, self.latch)
        else:
            make = make_compiled_step if compiled else make_step
            step = make(model, self.optimizer, self.precision, trainer.clip_norm, self.latch)
        self.meters = Meters(skip=self.latch.skip)
        self.run_steps = runner(config, step, self.batches, self.meters, self.scheduler, device)
        self.held_out = HeldOut(config, model, splits, self.precision, self.scheduler, self.total_steps)
        self.checkpoints = Checkpoints(self)
        self.step = 0
        self.best = {"val/loss": math.inf, "epoch": 0}
        self.stopped_early = False
        self.is_out_of_time = False  # trainer.minutes have passed since this process began
        self.last_metrics: dict[str, float] = {}
        self.tested: Evaluation | None = None  # after test()
        self.is_concluded = False  # whether its result is written
        self.lines = EpochTable(trainer.epochs)
        self.kl_per_dimension: list[float] | None = None  # of the last evaluation
        self.bar: ProgressBar | None = None
        self.pending = False  # whether what is due after this step is still to be done
        self.first_step = 0  # of this process: the latch counts from here
        # Whether the last step was; of the first nobody knows, and one that compiles is. Captures are not interrupted.
        self.slow = compiled or not isinstance(self.run_steps, Graphed)
        self.slow_look = not stacked  # whether a signal may come within; a stack, which evaluates, asks between members
        self._mark = (0, time.perf_counter())  # step and time of the last speed measurement
        self.started = self._began = time.monotonic()
        self.skipped_before = 0  # steps left out before this process

    # --- the loop

    def fit(self) -> None:
        """Train from the current step to the end, or until a signal, early stopping or a non-finite number."""
        self.begin()
        trainer = self.config.trainer
        with (
            ProgressBar(self.total_steps, self.step, trainer.epochs) as self.bar,
            profiling(trainer.profile_steps, self.run.folder) as profiler,
            self.requests.deferred(),
        ):
            while not self.finished:
                began, most = time.perf_counter(), self.ahead()
                may_break_in = self.slow and not captures(self.run_steps, most)
                with self.checkpoints.interruptible(everything=True) if may_break_in else nullcontext():
                    done = self.run_steps(self.step, most)
                self.slow = self.is_slow(time.perf_counter() - began)
                self.step += done
                self.bar.advance(self.step, math.ceil(self.epoch))
                if profiler:
                    profiler.step()
                if self.is_due():
                    self.look()
                if self.requests:
                    self.checkpoints.save("last")
                    self.requests.answer(f"step {self.step}", self.run.folder)

    def begin(self) -> None:
        """Before the first step of this process."""
        if self.step == 0:
            self.checkpoints.save("last")
            self.validate()
        else:
            self.checkpoints.mend_best()
        self.first_step = self.step
        if self.pending:
            self.scheduler.apply(self.step - 1)  # as it was after that step
            self.look()
        self._mark = (self.step, time.perf_counter())

    def is_slow(self, seconds: float) -> bool:
        """Whether the next step may keep a signal waiting, the last one having taken so long."""
        return seconds > SLOW or self.config.optimizer.name == "lbfgs"

    @property
    def finished(self) -> bool:
        return self.stopped_early or self.is_out_of_time or self.step >= self.total_steps

    def ahead(self) -> int:
        """Steps until one after which something is due."""
        if self.config.trainer.profile_steps:
            return 1  # which are counted
        every = (self.config.trainer.log_every, self.batches.per_epoch)
        return min(self.total_steps - self.step, *(n - self.step % n for n in every))

    def is_due(self) -> bool:
        """Whether there is something to `look` at after this step."""
        trainer, step = self.config.trainer, self.step
        if trainer.minutes is not None and time.monotonic() - self._began > 60 * trainer.minutes:
            self.is_out_of_time = step < self.total_steps
        return (
            self.is_out_of_time
            or step % trainer.log_every == 0
            or step % self.batches.per_epoch == 0
            or step == self.total_steps
            or self.checkpoints.due
        )

    def look(self) -> None:
        """What is due after a step: a log row, the end of an epoch, a checkpoint."""
        ends_epoch = self.step % self.batches.per_epoch == 0 or self.step == self.total_steps
        self.pending = ends_epoch
        began = time.perf_counter()
        with self.checkpoints.interruptible() if ends_epoch and self.slow_look else nullcontext():
            if self._logs():
                self.log_interval()
            if ends_epoch:
                self.end_epoch()
        if ends_epoch and self.stacked:
            self.slow_look = time.perf_counter() - began > SLOW
        self.pending = False
        if self.is_out_of_time:
            self.stop_in_time()
        elif self.checkpoints.due:
            self.checkpoints.save("last")

    def _logs(self) -> bool:
        """Whether a log row is due: after every trainer.log_every steps, and at the end of an epoch that has fewer."""
        every, ends_epoch = self.config.trainer.log_every, self.step % self.batches.per_epoch == 0
        is_short = min(self.batches.per_epoch, self.total_steps) < every
        return self.step % every == 0 or (is_short and (ends_epoch or self.step == self.total_steps))

    def stop_in_time(self) -> None:
        """Write the checkpoint from which the run goes on as if it had not stopped, then look at how far it has come:
        that is cut off again when it does."""
        self.checkpoints.save("last")
        if not self.checkpoints.has_best():
            self.checkpoints.save("best")
        log.info(
            "trainer.minutes=%g have passed: stopped after %d of %d steps; %s continues",
            self.config.trainer.minutes, self.step, self.total_steps, continued(self.run.folder),
        )  # fmt: skip
        with self.checkpoints.interruptible():
            self.last_metrics |= self.validate()
            self.draw(math.ceil(self.epoch))

    @property
    def epoch(self) -> float:
        """Epochs done, with their fraction."""
        return self.step / self.batches.per_epoch

    def log_interval(self) -> None:
        """Means since the last log point to TensorBoard and metrics.jsonl."""
        check_finite(self)
        means = self.meters.read("interval")
        grad_norm, speed = means.pop("grad_norm"), self._images_per_second()
        if self.bar:
            self.bar.terms(means, speed)
        self.run.log(
            self.step,
            self.epoch,
            {f"train/{name}": value for name, value in means.items()}
            | {"optimizer/grad_norm": grad_norm, "optimizer/lr": self.scheduler.lr(self.step - 1)}
            | {f"hparam/{name}": value for name, value in self.hparams().items()}
            | {"speed/images_per_second": speed},
        )

    def hparams(self) -> dict[str, float]:
        """The model's, as they were in the last step, without asking the device: rounded as the model holds them."""
        changing = self.scheduler.hparams(self.step - 1)
        names = [name for name, _ in self.model.named_buffers(recurse=False)]
        return {name: float(torch.tensor(changing.get(name, getattr(self.config.model, name)))) for name in names}

    def end_epoch(self) -> None:
        """Validate, keep the best, draw, write a checkpoint, and say one line."""
        check_finite(self)
        epoch, last = math.ceil(self.epoch), self.step == self.total_steps
        means = self.meters.read("epoch")
        self.last_metrics = {f"train/{name}": value for name, value in means.items() if name != "grad_norm"}
        self.last_metrics |= self.validate()
        self.run.epoch(epoch, self.step, self.last_metrics)
        improved = self._judge(epoch)
        last = last or self.stopped_early
        if last or epoch % self.config.trainer.grid_epochs == 0:
            self.draw(epoch)
        with self.requests.deferred():
            if last or improved or epoch % self.config.trainer.checkpoint_epochs == 0:
                self.pending = False
                # best.pt after last.pt: the best epoch is then never one that a resumed run does not know of.
                self.checkpoints.save("last", *(["best"] if improved else []))
        self._say(epoch)
        self._mark = (self.step, time.perf_counter())

    def _say(self, epoch: int) -> None:
        detailed = "val/" if len(self.splits.val) else "train/"
        shown = {tag: v for tag, v in self.last_metrics.items() if tag == "train/loss" or tag.startswith(detailed)}
        skipped = self.latch.skip and self.skipped_steps()
        note = f"  ({skipped} non-finite steps skipped)" if skipped else ""
        log.info("%s", self.lines.line(epoch, shown, note))

    def _judge(self, epoch: int) -> bool:
        """Whether this epoch is the best so far; decides on early stopping."""
        if "val/loss" not in self.last_metrics:
            return False
        loss, patience = self.last_metrics["val/loss"], self.config.trainer.patience
        if loss < self.best["val/loss"] - self.config.trainer.min_delta:
            self.best = {"val/loss": loss, "epoch": epoch}
            return True
        if patience is not None and epoch - self.best["epoch"] >= patience:
            self.stopped_early = True
            log.info("stopped early: no better val/loss in %d epochs (best: epoch %d)", patience, self.best["epoch"])
        return False

    # --- numbers

    def validate(self) -> dict[str, float]:
        """Log and return val/…; empty without validation images."""
        if not len(self.splits.val):
            return {}
        return self._log_evaluation("val", self.held_out.evaluate("val"))

    def test(self) -> dict[str, float]:
        """Log and return test/…, with the weights that trainer.test chooses."""
        if self.config.trainer.test == "best":
            self.checkpoints.load_best()
        self.tested = self.held_out.test()
        return self.last_metrics | self._log_evaluation("test", self.tested, histograms=not len(self.splits.val))

    def _log_evaluation(self, split: str, evaluation: Evaluation, histograms: bool = True) -> dict[str, float]:
        """Every scalar carries its split. The histograms are of one split only: of the validation images, or of the
        test images where there are none."""
        values = {f"{split}/{name}": value for name, value in evaluation.terms.items()}
        for name, value in evaluation.diagnostics.items():
            if value.ndim == 0:
                values[f"{split}/{name}"] = float(value)
            elif histograms and value.ndim == 1:
                self.run.histogram(self.step, f"latent/{name}", value)
        if (per_dimension := evaluation.diagnostics.get("kl_per_dimension")) is not None:
            self.kl_per_dimension = per_dimension.tolist()
        self.run.log(self.step, self.epoch, values)
        return values

    def draw(self, epoch: int) -> None:
        with self.precision.autocast():
            grids = make_grids(self.model, self.splits, self.config.seed)
            if self.finished and self.model.code_shape == (2,):
                grids.append(codes(self.model, self.splits))
        if self.kl_per_dimension is not None:
            title = "KL of each dimension of the code, nats, held-out images"
            grids.append(Grid("kl_per_dimension", *bars(self.kl_per_dimension, title), 1))
        for grid in grids:
            self.run.grid(self.step, epoch, grid.name, grid.png, grid.height, grid.width, grid.channels)

    def skipped_steps(self) -> int:
        """Steps that trainer.on_nonfinite=skip has left out."""
        return self.skipped_before + int(self.latch.bad_steps)

    def best_epoch(self) -> dict[str, float] | None:
        """val/loss and number of the best epoch; None where nothing was validated."""
        return dict(self.best) if self.best["epoch"] else None

    def _images_per_second(self) -> float:
        step, since = self._mark
        self._mark = (self.step, now := time.perf_counter())
        return (self.step - step) * self.batches.size / max(now - since, 1e-9)
