"""The training loop. It knows steps, epochs, logs and checkpoints; it never names a model."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import torch

from aetrain.config import plain
from aetrain.console import ProgressBar, number
from aetrain.data import Splits
from aetrain.device import Precision
from aetrain.errors import RunFailed, UserError
from aetrain.grids import make_grids
from aetrain.models import Autoencoder
from aetrain.noise import mix
from aetrain.run import Run
from aetrain.schema import total_steps
from aetrain.training import checkpoint
from aetrain.training.batches import Batches
from aetrain.training.evaluation import Evaluation, evaluate, importance_nll
from aetrain.training.meters import Meters
from aetrain.training.optimizer import build_optimizer
from aetrain.training.schedules import Scheduler
from aetrain.training.signals import Requests
from aetrain.training.step import Latch, make_step
from aetrain.training.wrappers import Graphed, compiled, eager

log = logging.getLogger(__name__)

SMALLEST_SCALE = 1e-4  # of the fp16 gradient scaler, which starts at 65536 and halves at every overflow


def stays_stopped(state: dict[str, Any], config) -> bool:
    """Whether early stopping ended the checkpoint's run, and would again with the configuration's patience."""
    patience = config.trainer.patience
    return state["stopped_early"] and patience is not None and state["epoch"] - state["best"]["epoch"] >= patience


class Training:
    """A model in training: the loop, and the state that a checkpoint holds."""

    def __init__(self, config, model: Autoencoder, splits: Splits, run: Run, device: torch.device, requests: Requests):
        self.requests = requests
        self.config, self.model, self.splits, self.run, self.device = config, model, splits, run, device
        trainer = config.trainer
        self.precision = Precision.of(config.device.precision, device)
        graphed = trainer.cuda_graph and device.type == "cuda"
        if trainer.cuda_graph and not graphed:
            log.info("trainer.cuda_graph=true: there is no GPU here, steps run eagerly")
        self.optimizer = build_optimizer(config.optimizer, model, capturable=graphed)
        self.batches = Batches(splits.train, trainer.batch_size, config.seed, config.data.binarization == "dynamic")
        self.total_steps = total_steps(config)
        self.scheduler = Scheduler(config, model, self.optimizer, self.total_steps)
        self.latch = Latch(device, skip=trainer.on_nonfinite == "skip")
        forward = compiled(model) if trainer.compile else model
        step = make_step(forward, self.optimizer, self.precision, trainer.clip_norm, self.latch)
        self.do_step = (Graphed if graphed else eager)(step, self.batches)
        self.meters = Meters(skip=self.latch.skip)
        self.step = 0
        self.best = {"val/loss": math.inf, "epoch": 0}
        self.stopped_early = False
        self.last_metrics: dict[str, float] = {}
        self.tested: Evaluation | None = None  # after test()
        self._first_step = 0  # of this process: the latch counts from here
        self._mark = (0, time.perf_counter())  # step and time of the last speed measurement
        self._saved_at = self.started = time.monotonic()
        self._skipped_before = 0  # steps left out before this process

    # --- the loop

    def fit(self) -> None:
        """Train from the current step to the end, or until a signal, early stopping or a number that is none."""
        trainer = self.config.trainer
        if self.step == 0:
            self.save("last")
            self.validate()
        self._first_step = self.step
        self._mark = (self.step, time.perf_counter())
        with ProgressBar(self.total_steps, self.step, trainer.epochs) as bar:
            while self.step < self.total_steps and not self.stopped_early:
                self.scheduler.apply(self.step)
                self.meters.add(self.do_step(self.step))
                self.step += 1
                bar.advance(self.step, math.ceil(self.epoch))
                if self.step % trainer.log_every == 0:
                    self.log_interval(bar)
                if self.step % self.batches.per_epoch == 0 or self.step == self.total_steps:
                    self.end_epoch()
                if self.requests or self._checkpoint_due():
                    self.save("last")
                    self.requests.answer(f"step {self.step}", self.run.folder)

    @property
    def epoch(self) -> float:
        """Epochs done, with their fraction."""
        return self.step / self.batches.per_epoch

    def log_interval(self, bar: ProgressBar) -> None:
        """Means since the last log point to TensorBoard and metrics.jsonl."""
        self.check_finite()
        means = self.meters.read("interval")
        speed = self._images_per_second()
        bar.terms({name: value for name, value in means.items() if name != "grad_norm"}, speed)
        self.run.log(
            self.step,
            self.epoch,
            {f"train/{name}": value for name, value in means.items() if name != "grad_norm"}
            | {"optimizer/grad_norm": means["grad_norm"], "optimizer/lr": float(self.optimizer.param_groups[0]["lr"])}
            | {f"hparam/{name}": float(value) for name, value in self.model.named_buffers(recurse=False)}
            | {"speed/images_per_second": speed},
        )

    def end_epoch(self) -> None:
        """Validate, keep the best, draw, write a checkpoint, and say one line."""
        self.check_finite()
        epoch, last = math.ceil(self.epoch), self.step == self.total_steps
        train = self.meters.read("epoch")
        self.last_metrics = {f"train/{name}": value for name, value in train.items() if name != "grad_norm"}
        self.last_metrics |= self.validate()
        improved = self._judge(epoch)
        last = last or self.stopped_early
        if last or epoch % self.config.trainer.grid_epochs == 0:
            self.draw(epoch)
        if improved:
            self.save("best")
        if last or epoch % self.config.trainer.checkpoint_epochs == 0:
            self.save("last")
        self._say(epoch)
        self._mark = (self.step, time.perf_counter())

    def _say(self, epoch: int) -> None:
        detailed = "val/" if len(self.splits.val) else "train/"
        shown = (tag for tag in self.last_metrics if tag == "train/loss" or tag.startswith(detailed))
        values = "  ".join(f"{tag} {number(self.last_metrics[tag])}" for tag in shown)
        if skipped := self.latch.skip and self.skipped_steps():
            values += f"  ({skipped} steps left out: not finite)"
        log.info("epoch %d/%d  %s", epoch, self.config.trainer.epochs, values)

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
        """Log and return val/… and latent/…; empty without validation images.

        Always with the values that scheduled hparams and weights have at the end of the run: val/loss is then the
        objective that is wanted, at every step, and `best` does not prefer the start of a warm-up."""
        if not len(self.splits.val):
            return {}
        return self._log_evaluation("val", self.evaluate("val"))

    def test(self) -> dict[str, float]:
        """Log and return test/…, and latent/… where there were no validation images."""
        self.tested = self.evaluate("test")
        if samples := self.config.trainer.nll_samples:
            seed = mix(self.config.seed, "importance samples", "test")
            self.tested.terms["nll"] = importance_nll(self.model, self.splits.test.images, samples, seed)
        values = self._log_evaluation("test", self.tested, with_latents=not len(self.splits.val))
        return self.last_metrics | values

    def evaluate(self, split: str) -> Evaluation:
        self.scheduler.apply(self.total_steps)
        images = getattr(self.splits, split).images
        seed = mix(self.config.seed, "evaluation", split)
        return evaluate(self.model, images, self.config.trainer.eval_batch_size, seed, self.precision)

    def _log_evaluation(self, split: str, evaluation: Evaluation, with_latents: bool = True) -> dict[str, float]:
        values = {f"{split}/{name}": value for name, value in evaluation.terms.items()}
        if with_latents:
            for name, value in evaluation.diagnostics.items():
                if value.ndim == 0:
                    values[f"latent/{name}"] = float(value)
                else:
                    self.run.histogram(self.step, f"latent/{name}", value)
        self.run.log(self.step, self.epoch, values)
        return values

    def draw(self, epoch: int) -> None:
        with self.precision.autocast():
            grids = make_grids(self.model, self.splits, self.config.seed)
        for grid in grids:
            self.run.grid(self.step, epoch, grid.name, grid.png, grid.height, grid.width)

    def check_finite(self) -> None:
        """Raise RunFailed if the latch has closed."""
        scaler = self.precision.scaler
        if scaler and scaler.get_scale() < SMALLEST_SCALE:
            raise RunFailed(
                f"diverged: the gradients overflow fp16 at every scale (step {self.step}); try device.precision=bf16 "
                "or a smaller optimizer.lr"
            )
        first_bad = int(self.latch.first_bad)
        if first_bad < 0 or self.latch.skip:
            return
        bad = self.latch.bad_values.tolist()
        names = [*self.model_terms(), "the gradient's norm"]
        name = next(name for name, is_bad in zip(names, bad, strict=False) if is_bad)
        raise RunFailed(
            f"diverged: {name} was not finite at step {self._first_step + first_bad + 1} (optimizer.lr="
            f"{self.config.optimizer.lr}, device.precision={self.config.device.precision}); no update was made from "
            "there on; try a smaller optimizer.lr, trainer.clip_norm=1 or device.precision=fp32. "
            f"The state before it: {self.run.folder}/checkpoints/last.pt"
        )

    def skipped_steps(self) -> int:
        """Steps that trainer.on_nonfinite=skip has left out."""
        return self._skipped_before + int(self.latch.bad_steps)

    def best_epoch(self) -> dict[str, float] | None:
        """val/loss and number of the best epoch; None where nothing was validated."""
        return dict(self.best) if self.best["epoch"] else None

    def model_terms(self) -> list[str]:
        return [name for name in self.meters.names if name != "grad_norm"]

    def _images_per_second(self) -> float:
        step, since = self._mark
        self._mark = (self.step, now := time.perf_counter())
        return (self.step - step) * self.config.trainer.batch_size / max(now - since, 1e-9)

    # --- state

    def _checkpoint_due(self) -> bool:
        return time.monotonic() - self._saved_at > 60 * self.config.trainer.checkpoint_minutes

    def save(self, name: str) -> None:
        """Write checkpoints/<name>.pt, unless the numbers have gone wrong."""
        self.check_finite()
        checkpoint.save(self.run.folder / "checkpoints" / f"{name}.pt", self.state_dict())
        if name == "last":
            self._saved_at = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Everything that a run needs to go on, in plain containers."""
        scaler, cuda = self.precision.scaler, self.device.type == "cuda"
        return {
            "config": plain(self.config),
            "overrides": list(self.run.overrides),
            "position": self.run.position(),
            "machine": self.machine(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler else None,
            "rng": {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state(self.device) if cuda else None},
            "meters": self.meters.state_dict(),
            "step": self.step,
            "total_steps": self.total_steps,
            "epoch": self.epoch,
            "seconds": time.monotonic() - self.started,
            "skipped": self.skipped_steps(),
            "best": dict(self.best),
            "stopped_early": self.stopped_early,
            "metrics": dict(self.last_metrics),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state, as if the run had never stopped. Raises a UserError if it does not fit."""
        fresh = [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups]
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.precision.scaler and state["scaler"]:
                self.precision.scaler.load_state_dict(state["scaler"])
            self.meters.load_state_dict(state["meters"], self.device)
            self.step, self._skipped_before = state["step"], state["skipped"]
            self.best = {"val/loss": float(state["best"]["val/loss"]), "epoch": int(state["best"]["epoch"])}
            self.last_metrics = {tag: float(value) for tag, value in state["metrics"].items()}
            self.stopped_early = stays_stopped(state, self.config)
            torch.set_rng_state(state["rng"]["cpu"])
            if self.device.type == "cuda" and state["rng"]["cuda"] is not None:
                torch.cuda.set_rng_state(state["rng"]["cuda"], self.device)
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{self.run.folder}/checkpoints/last.pt: does not fit this run ({reason})") from error
        for group, values in zip(self.optimizer.param_groups, fresh, strict=True):
            group.update(values)  # the configuration is their only source; it may have been changed on resuming
        if (here := self.machine()) != state["machine"]:
            log.warning("warning: resumed on %s, was %s: results agree, but not to the bit", here, state["machine"])
        if state["total_steps"] != self.total_steps and self.scheduler.active:
            log.warning(
                "warning: a schedule was laid out for %d steps and is for %d from here on: the end differs from that "
                "of a run of this length", state["total_steps"], self.total_steps,
            )  # fmt: skip
        log.info("resumed at step %d of %d", self.step, self.total_steps)

    def machine(self) -> dict[str, Any]:
        """What the bits of a result depend on beside configuration and seed."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        return {"torch": str(torch.__version__), "threads": torch.get_num_threads(), "device": name}
