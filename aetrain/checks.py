"""Tasks, objectives and schedules that cannot do what is asked of them: told before anything is written."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from aetrain.config import hparams, range_error
from aetrain.errors import UserError
from aetrain.schema import TASKS, VAE, Config, Schedule, total_steps, train_size
from aetrain.training.schedules import factor


def check_objective(config: Config) -> None:
    """Raise a UserError for a task that does not fit the model, or a schedule that does not fit the run."""
    task, model = config.task, config.model
    if type(task) is not TASKS[task.name]:
        raise UserError(f"task.name={task.name}: choose the task with task=…, its name follows")
    if task.name == "report":
        raise UserError(
            "task=report: trains nothing; alone with sweep=…, as in aetrain task=report sweep=outputs/sweeps/<time>"
        )
    if task.name == "linear":
        check_linear(model)
    if task.name == "classify":
        if len(task.layers) > 1 and model.arch == "conv":
            raise UserError(
                "model.arch=conv: task=classify stacks layers on codes, which are no images; use linear or mlp"
            )
        for units in task.layers:
            dataclasses.replace(model, latent_dim=units)  # checks the model's values against this size
    if config.trainer.nll_samples and not isinstance(model, VAE):
        raise UserError(
            f"trainer.nll_samples={config.trainer.nll_samples}: model={model.name} has no density to sample from; "
            "that takes model=vae, beta_vae or iwae"
        )
    if config.optimizer.name == "lbfgs":
        check_lbfgs(config)
    steps, used = total_steps(config), hparams(model)
    check_schedule("optimizer.schedule", config.optimizer.schedule, "lr", config.optimizer.lr, steps)
    for name, schedule in vars(model.schedule).items():
        if schedule.kind == "constant":
            continue
        if name not in used:
            raise UserError(f"model.schedule.{name}.kind={schedule.kind}: model.{name} takes no part in this objective")
        check_schedule(f"model.schedule.{name}", schedule, name, used[name], steps)
        check_scheduled_range(model, name, schedule, used[name])


def check_metric(config: Config, swept: Iterable[str] = ()) -> None:
    """Raise a UserError for a trainer.objective_metric that must not choose between runs: of the test split, or one
    that contains a value that they differ in. swept: the dotted keys of those values."""
    metric = config.trainer.objective_metric
    if metric is None:
        return
    told = f"trainer.objective_metric={metric}"
    if not re.fullmatch(r"(train|val|latent)/\w+", metric):
        reason = "the test split is for the end, not for choosing" if metric.startswith("test/") else "no such metric"
        raise UserError(f"{told}: {reason}; give one of the validation split, as in trainer.objective_metric=val/recon")
    if metric.startswith(("val/", "latent/")) and not config.data.val_size:
        raise UserError(f"{told}: needs validation images; give data.val_size=10000")
    declared = {f"model.{field.name}" for field in dataclasses.fields(config.model) if field.metadata.get("hparam")}
    # A likelihood in nats and the corruption of an input leave the losses comparable.
    objective = {"model", *declared} - {"model.sigma", "model.corruption_level"}
    contents = {"loss": objective, "sparsity": {"model.rho"}, "capacity": {"model.capacity"}}
    for key in swept:
        if re.sub(r"^model\.schedule\.(\w+).*", r"model.\1", key) in contents.get(metric.partition("/")[2], ()):
            raise UserError(
                f"{told}: contains {key}, which the sweep changes, so that its values do not compare; "
                "leave it out for val/nelbo or val/recon"
            )


def check_scheduled_range(model, name: str, schedule: Schedule, target: float) -> None:
    """Raise a UserError for a schedule that takes an hparam out of the range that its dataclass declares."""
    field = next(field for field in dataclasses.fields(model) if field.name == name)
    for progress in (i / 1000 for i in range(1001)):
        value = target * factor(schedule, progress)
        if wrong := range_error(value, dict(field.metadata)):
            raise UserError(
                f"model.schedule.{name}.kind={schedule.kind}: takes model.{name} to {value:g} on its way, and {wrong}"
            )


def check_linear(model) -> None:
    """Raise a UserError for a model whose closed form task=linear does not know."""
    wanted = {"ae": "squared_error", "vae": "gaussian"}
    fits = model.arch == "linear" and model.likelihood == wanted.get(model.name) and model.output == "identity"
    if not fits or getattr(model, "tied", False) or getattr(model, "code_activation", "identity") != "identity":
        raise UserError(
            "task=linear: needs model=ae model.likelihood=squared_error or model=vae model.likelihood=gaussian, with "
            "model.arch=linear model.output=identity and neither tied weights nor a code activation"
        )


def check_lbfgs(config: Config) -> None:
    """Raise a UserError for whatever would make two evaluations of L-BFGS's line search those of two functions."""
    trainer, size = config.trainer, train_size(config.data)
    if trainer.batch_size != size:
        raise UserError(
            f"trainer.batch_size={trainer.batch_size}: optimizer=lbfgs takes all training images at every step; give "
            f"trainer.batch_size={size} trainer.log_every=1"
        )
    device, lr, hparams = config.device, config.optimizer.schedule, vars(config.model.schedule)
    changing = next((name for name, schedule in hparams.items() if schedule.kind != "constant"), None)
    refused = [
        (config.model.varying(), "its objective differs from evaluation to evaluation"),
        (config.data.binarization == "dynamic" and "data.binarization=dynamic", "the images differ from step to step"),
        (changing and f"model.schedule.{changing}.kind={hparams[changing].kind}", "it would mix several objectives"),
        (lr.kind != "constant" and f"optimizer.schedule.kind={lr.kind}", "its line search chooses the length"),
        (device.precision != "fp32" and f"device.precision={device.precision}", "it needs fp32"),
        (trainer.clip_norm is not None and f"trainer.clip_norm={trainer.clip_norm}", "it needs the gradient itself"),
        (trainer.compile and "trainer.compile=true", "its step runs eagerly"),
        (trainer.cuda_graph and "trainer.cuda_graph=true", "its line search asks the host"),
    ]
    for key, reason in refused:
        if key:
            raise UserError(f"{key}: not with optimizer=lbfgs: {reason}; leave it out or use optimizer=adam")


def check_schedule(key: str, schedule: Schedule, name: str, target: float, steps: int) -> None:
    """Raise a UserError for a schedule whose value never arrives at its target within a run of so many steps."""
    if schedule.kind in ("linear", "cyclical") and not schedule.length <= 1:
        what = "run" if schedule.kind == "linear" else "cycle"
        raise UserError(
            f"{key}.length={schedule.length}: the warm-up would be longer than the {what}, of which it is a fraction, "
            f"and {name} would never reach {target:g}; give at most 1"
        )
    if schedule.kind == "cyclical" and (1 - schedule.length) * steps < schedule.cycles:
        raise UserError(
            f"{key}.cycles={schedule.cycles}: {steps} steps in so many cycles, {schedule.length:g} of each a warm-up, "
            f"leave no step at {name}={target:g}; give fewer cycles or a smaller {key}.length"
        )
