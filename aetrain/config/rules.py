"""What only the whole configuration shows: values that do not go together, tasks, objectives and schedules that cannot
do what is required of them. Reported before anything is written."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from collections.abc import Iterable

from aetrain.config.fields import hparams, range_error
from aetrain.config.schema import Config
from aetrain.config.schema.model.vae import VAE
from aetrain.config.schema.schedule import Schedule
from aetrain.config.schema.task.base import OnRun
from aetrain.config.tables import TASKS
from aetrain.data.card import card, has_val, sizes, train_size
from aetrain.errors import UserError
from aetrain.training.schedules import factor


def total_steps(config: Config) -> int:
    """Optimizer steps of a whole run."""
    steps = config.trainer.epochs * (train_size(config.data) // batch_size(config))
    return steps if config.trainer.max_steps is None else min(steps, config.trainer.max_steps)


def batch_size(config: Config) -> int:
    """Images in a training step. A batch that is larger than the training split takes all of it; check_run refuses
    one but for the user's own data."""
    return min(config.trainer.batch_size, train_size(config.data))


def compiler() -> str:
    """The command of the C++ compiler that torch.compile calls."""
    return os.environ.get("CXX", "g++")


def check_run(config: Config) -> None:
    """Raise a UserError for values that do not go together, or not with this machine."""
    if config.trainer.compile is True and not shutil.which(cxx := compiler()):
        raise UserError(
            f"trainer.compile=true: torch.compile needs a C++ compiler and {cxx} was not found; install one, name it "
            "in CXX, or leave trainer.compile out"
        )
    if config.trainer.compile is True and config.device.precision == "fp16":
        raise UserError(
            "trainer.compile=true: not with device.precision=fp16, whose gradient scaler cannot be traced; use bf16"
        )
    if config.name is not None and not re.fullmatch(r"\w[\w.+-]{0,99}", config.name):
        raise UserError(f"name={config.name}: it becomes part of a folder's name; give letters, digits, _ . + and -")
    known = card(config.data)
    sizes(config.data)  # refuses what leaves nothing
    if config.trainer.batch_size > (size := train_size(config.data)) and not known.is_own:
        raise UserError(
            f"trainer.batch_size={config.trainer.batch_size}: larger than the training split of {size} images; "
            f"give at most {size}"
        )
    if config.data.shift >= max(2, min(known.image_shape[1:])):
        raise UserError(
            f"data.shift={config.data.shift}: the images are {known.image_shape[1]}x{known.image_shape[2]}, nothing of "
            "them would be left; give a few pixels"
        )
    if config.model.likelihood == "discretized_logistic" and known.scale != 255:
        raise UserError(
            f"model.likelihood=discretized_logistic: is of pixels of 8 bits, 256 levels, and those of "
            f"data={config.data.name} are finer here; give model.likelihood=gaussian"
        )
    config.net.check(known.image_shape)
    config.model.check(config.net)
    check_prior(config)
    if config.model.needs_labels and not known.n_classes:
        raise UserError(
            f"model={config.model.name}: is given the class of every image, and data={config.data.name} has no labels "
            "here; choose data that have, or model=vae"
        )
    if config.trainer.patience is not None and not has_val(config.data):
        raise UserError(
            f"trainer.patience={config.trainer.patience}: early stopping needs validation images; "
            "give data.val_size=10000"
        )
    if config.trainer.test == "best" and not has_val(config.data):
        raise UserError(
            "trainer.test=best: the best weights are those of the lowest val/loss, which needs validation images; give "
            "data.val_size=10000"
        )
    if getattr(config.optimizer, "weight_decay", 0) > 0 and getattr(config.model, "l2_weight", 0) > 0:
        raise UserError(
            f"optimizer.weight_decay={config.optimizer.weight_decay}: this model has a weight decay of its own in its "
            "objective; give model.l2_weight=0 or optimizer.weight_decay=0"
        )


def check_prior(config: Config) -> None:
    """Raise a UserError for a model without the prior that it needs, or with one that does not suit it."""
    model, prior = config.model, config.prior
    if (prior is not None) != model.takes_prior:
        told = "its YAML needs the line - /prior@_global_.prior: normal"
        raise UserError(f"model={model.name}: {told if model.takes_prior else 'takes no prior; leave it out'}")
    if prior is not None and not prior.is_closed and getattr(model, "z_in_evaluation", "sample") == "mean":
        raise UserError(
            f"model.z_in_evaluation=mean: with prior={prior.name} the KL has no closed form and is estimated at draws "
            "of z; give model.z_in_evaluation=sample"
        )


def check_objective(config: Config) -> None:
    """Raise a UserError for a task that does not fit the model, or a schedule that does not fit the run."""
    task, model = config.task, config.model
    if type(task) is not TASKS[task.name]:
        raise UserError(f"task.name={task.name}: choose the task with task=…, its name follows")
    if task.name == "report":
        raise UserError(
            "task=report: trains nothing; alone with sweep=…, as in aetrain task=report sweep=outputs/sweeps/<time>"
        )
    if isinstance(task, OnRun):
        raise UserError(
            f"task={task.name}: trains nothing; give the run, as in aetrain {task.name} run=outputs/vae/<time>"
        )
    if task.name == "linear":
        check_linear(config)
    if task.name == "classify":
        if model.needs_labels:
            raise UserError(
                f"task=classify: model={model.name} is given the class that is to be found, and its codes hold what "
                f"is left; use model=vae, or accuracy_by_likelihood of aetrain evaluate run=outputs/{model.name}/<time>"
            )
        if model.is_discrete:
            raise UserError(
                f"task=classify: the code of model={model.name} passes no gradient to the encoder; use another model, "
                f"or the probes of aetrain evaluate run=outputs/{model.name}/<time>"
            )
        if len(task.layers) > 1 and not config.net.is_dense:
            raise UserError(
                f"net={config.net.name}: task=classify stacks layers on codes, which are not images; use linear or mlp"
            )
        if not card(config.data).n_classes:
            raise UserError(f"task=classify: data={config.data.name} has no labels here; choose data with labels")
        if len(task.layers) > 1 and model.likelihood == "discretized_logistic":
            raise UserError(
                "model.likelihood=discretized_logistic: task=classify stacks layers on codes, which are no pixels; "
                "give model.likelihood=gaussian"
            )
        if len(task.layers) > 1 and config.prior is not None and config.prior.name == "vamp":
            raise UserError(
                "prior=vamp: its pseudo-inputs are images, and task=classify stacks layers on codes; give prior=normal"
            )
        for units in task.layers:
            dataclasses.replace(model, latent_dim=units)  # checks the model's values against this size
    if config.trainer.nll_samples and not isinstance(model, VAE):
        raise UserError(
            f"trainer.nll_samples={config.trainer.nll_samples}: model={model.name} has no density to sample from; "
            "that takes a VAE, such as model=vae"
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
    if not re.fullmatch(r"(train|val)/\w+", metric):
        reason = "the test split is for the end, not for choosing" if metric.startswith("test/") else "no such metric"
        raise UserError(f"{told}: {reason}; give one of the validation split, as in trainer.objective_metric=val/recon")
    if metric.startswith("val/") and not has_val(config.data):
        raise UserError(f"{told}: needs validation images; give data.val_size=10000")
    declared = {f"model.{field.name}" for field in dataclasses.fields(config.model) if field.metadata.get("hparam")}
    # A likelihood in nats and the corruption of an input leave the losses comparable.
    objective = {"model", *declared} - {"model.sigma", "model.corruption_level"}
    contents = {"loss": objective, "sparsity": {"model.rho"}, "capacity": {"model.capacity"}}
    for key in swept:
        if re.sub(r"^model\.schedule\.(\w+).*", r"model.\1", key) in contents.get(metric.partition("/")[2], ()):
            raise UserError(
                f"{told}: contains {key}, which the sweep changes, so that its values are not comparable; "
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


def check_linear(config: Config) -> None:
    """Raise a UserError for a model whose closed form task=linear does not know."""
    model, wanted = config.model, {"ae": "squared_error", "vae": "gaussian"}
    fits = config.net.name == "linear" and model.likelihood == wanted.get(model.name) and model.output == "identity"
    fits = fits and (config.prior is None or config.prior.name == "normal")
    fits = fits and not getattr(model, "sigma_per_channel", False)
    if not fits or getattr(model, "tied", False) or getattr(model, "code_activation", "identity") != "identity":
        raise UserError(
            "task=linear: needs model=ae model.likelihood=squared_error or model=vae model.likelihood=gaussian, with "
            "net=linear model.output=identity prior=normal, one sigma and neither tied weights nor a code activation"
        )


def check_lbfgs(config: Config) -> None:
    """Raise a UserError for whatever would make two evaluations of L-BFGS's line search those of two functions."""
    trainer, size = config.trainer, train_size(config.data)
    device, lr, hparams = config.device, config.optimizer.schedule, vars(config.model.schedule)
    changing = next((name for name, schedule in hparams.items() if schedule.kind != "constant"), None)
    refused = [
        (config.model.varying(config.net), "its objective differs from evaluation to evaluation"),
        (config.data.binarization == "dynamic" and "data.binarization=dynamic", "the images differ from step to step"),
        (config.data.flip and "data.flip=true", "the images differ from step to step"),
        (config.data.shift and f"data.shift={config.data.shift}", "the images differ from step to step"),
        (changing and f"model.schedule.{changing}.kind={hparams[changing].kind}", "it would mix several objectives"),
        (lr.kind != "constant" and f"optimizer.schedule.kind={lr.kind}", "its line search chooses the length"),
        (device.precision != "fp32" and f"device.precision={device.precision}", "it needs fp32"),
        (trainer.clip_norm is not None and f"trainer.clip_norm={trainer.clip_norm}", "it needs the gradient itself"),
        (trainer.compile is True and "trainer.compile=true", "its step runs eagerly"),
        (trainer.cuda_graph and "trainer.cuda_graph=true", "its line search asks the host"),
    ]
    for key, reason in refused:
        if key:
            raise UserError(f"{key}: not with optimizer=lbfgs: {reason}; leave it out or use optimizer=adam")
    if trainer.batch_size != size:
        raise UserError(
            f"trainer.batch_size={trainer.batch_size}: optimizer=lbfgs takes all training images at every step; give "
            f"trainer.batch_size={size} trainer.log_every=1"
        )


def check_schedule(key: str, schedule: Schedule, name: str, target: float, steps: int) -> None:
    """Raise a UserError for a schedule whose value does not reach its target within a run of that many steps."""
    if schedule.kind in ("linear", "cyclical") and not schedule.length <= 1:
        what = "run" if schedule.kind == "linear" else "cycle"
        raise UserError(
            f"{key}.length={schedule.length}: the warm-up would be longer than the {what}, of which it is a fraction, "
            f"and {name} would never reach {target:g}; give at most 1"
        )
    if schedule.kind == "cyclical" and (1 - schedule.length) * steps < schedule.cycles:
        raise UserError(
            f"{key}.cycles={schedule.cycles}: {steps} steps in that many cycles, {schedule.length:g} of each a "
            f"warm-up, leave no step at {name}={target:g}; give fewer cycles or a smaller {key}.length"
        )
