"""Every configuration group as a dataclass: names, types and ranges. The defaults are in conf/, in YAML.

Adding a model: a dataclass here (listed in MODELS), conf/model/<name>.yaml, and aetrain/models/<name>.py with a class
of the same name as the dataclass. These stand apart from the models because a wrong key must be answered before
torch is imported, which takes seconds.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import shutil
from dataclasses import dataclass, field
from typing import Optional

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from aetrain.config import GIVEN, hparam, setting
from aetrain.errors import UserError

ACTIVATIONS = ("relu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid")
LIKELIHOODS = ("squared_error", "bernoulli", "continuous_bernoulli", "gaussian")


@dataclass
class Schedule:
    """A factor on a value as a function of the run's progress: see aetrain/training/schedules.py."""

    kind: str = field(default="constant", metadata={"choices": ("constant", "linear", "cosine", "step", "cyclical")})
    start: float = field(default=0.0, metadata={"min": 0, "only_if": {"kind": ("linear",)}})
    length: float = field(default=0.5, metadata={"above": 0, "only_if": {"kind": ("linear", "cyclical")}})
    end: float = field(default=0.0, metadata={"min": 0, "only_if": {"kind": ("cosine",)}})
    cycles: int = field(default=4, metadata={"min": 1, "only_if": {"kind": ("cyclical",)}})
    milestones: list[float] = field(
        default_factory=lambda: [0.5, 0.75], metadata={"above": 0, "below": 1, "only_if": {"kind": ("step",)}}
    )
    gamma: float = field(default=0.1, metadata={"above": 0, "only_if": {"kind": ("step",)}})


def scheduled(cls: type) -> type:
    """A dataclass, with a field `schedule` that holds one Schedule for each of its hparams."""
    cls = dataclass(cls)
    names = [f.name for f in dataclasses.fields(cls) if f.metadata.get("hparam")]
    node = dataclasses.make_dataclass(
        f"{cls.__name__}Schedules", [(name, Schedule, field(default_factory=Schedule)) for name in names]
    )
    # Members of a sweep are sent to other processes, where pickle looks the class up by its name.
    node.__module__ = __name__
    globals()[node.__name__] = node
    return dataclasses.make_dataclass(
        cls.__name__,
        [("schedule", node, field(default_factory=node))],
        bases=(cls,),
        namespace={"__module__": __name__},
    )


# --- model ------------------------------------------------------------------------------------------------------------


@dataclass
class Model:
    """What every model has. `arch` chooses the networks, `likelihood` how an image is compared with its decoding,
    `sigma_mode` where the standard deviation of the Gaussian comes from."""

    name: str = setting()
    latent_dim: int = setting(min=1)
    arch: str = setting(choices=("linear", "mlp", "conv"))
    hidden: list[int] = setting(min=1, only_if={"arch": ("mlp",)})
    channels: list[int] = setting(min=1, only_if={"arch": ("conv",)})
    activation: str = setting(choices=ACTIVATIONS, only_if={"arch": ("mlp", "conv")})
    likelihood: str = setting(choices=LIKELIHOODS)
    output: str = setting(choices=("identity", "sigmoid"), only_if={"likelihood": ("squared_error", "gaussian")})
    sigma_mode: str = setting(choices=("fixed", "learned", "optimal"), only_if={"likelihood": ("gaussian",)})
    sigma: float = hparam(above=0, only_if={"likelihood": ("gaussian",), "sigma_mode": ("fixed",)})
    output_bias: str = setting(choices=("random", "data"))

    def varying(self) -> str | None:
        """What makes the objective of one batch differ from evaluation to evaluation, as one types it; or None."""
        return None


@dataclass
class Deterministic(Model):
    """A model whose code is a function of the image."""

    code_activation: str = setting(choices=("identity", *ACTIVATIONS))
    tied: bool = setting()

    def __post_init__(self) -> None:
        if self.tied and self.arch == "conv":
            raise UserError("model.tied=true: tied weights need model.arch=linear or mlp, not conv")


@scheduled
class AE(Deterministic):
    pass


@scheduled
class DAE(Deterministic):
    corruption: str = setting(choices=("masking", "gaussian", "salt_and_pepper"))
    corruption_level: float = hparam(min=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.corruption != "gaussian" and self.corruption_level > 1:
            raise UserError(
                f"model.corruption_level={self.corruption_level}: with model.corruption={self.corruption} it is "
                "a share of the pixels, at most 1"
            )

    def varying(self) -> str | None:
        return f"model={self.name}"


@scheduled
class Sparse(Deterministic):
    penalty: str = setting(choices=("kl", "l1", "topk"))
    rho: float = hparam(above=0, below=1, only_if={"penalty": ("kl",)})
    rho_hat: str = setting(choices=("batch", "ema"), only_if={"penalty": ("kl",)})
    rho_decay: float = hparam(min=0, below=1, only_if={"penalty": ("kl",), "rho_hat": ("ema",)})
    k: int = setting(min=1, only_if={"penalty": ("topk",)})
    k_evaluation: Optional[int] = setting(min=1, only_if={"penalty": ("topk",)})
    sparsity_weight: float = hparam(min=0, only_if={"penalty": ("kl", "l1")})
    weight_decay: float = hparam(min=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.penalty == "kl" and self.code_activation != "sigmoid":
            raise UserError(
                f"model.code_activation={self.code_activation}: model.penalty=kl compares mean activations "
                "with rho, so the code must lie in (0, 1); use sigmoid, or model.penalty=l1"
            )
        if self.penalty == "l1" and (self.arch == "conv" or self.tied):
            raise UserError(
                "model.penalty=l1 keeps the decoder's columns at unit norm, which needs model.arch=linear or mlp "
                "and model.tied=false"
            )
        if self.penalty == "topk" and max(self.k, self.k_evaluation or 0) > self.latent_dim:
            raise UserError(
                f"model.k={self.k}, model.k_evaluation={self.k_evaluation}: the code has only "
                f"model.latent_dim={self.latent_dim} units"
            )

    def varying(self) -> str | None:
        return "model.rho_hat=ema" if self.penalty == "kl" and self.rho_hat == "ema" else None


@scheduled
class Contractive(Deterministic):
    contraction_weight: float = hparam(min=0)
    estimator: str = setting(choices=("auto", "exact", "hutchinson"))
    probes: int = setting(min=1, only_if={"estimator": ("auto", "hutchinson")})

    def varying(self) -> str | None:
        estimates = self.estimator == "hutchinson" or (self.estimator == "auto" and self.arch == "conv")
        return f"model.estimator={self.estimator}" if estimates else None


@scheduled
class VAE(Model):
    likelihood: str = setting(choices=LIKELIHOODS[1:])  # a divergence in nats needs a likelihood in nats beside it
    z_in_evaluation: str = setting(choices=("sample", "mean"))

    def varying(self) -> str | None:
        return f"model={self.name}"


@scheduled
class BetaVAE(VAE):
    beta: float = hparam(min=0, only_if={"capacity": (None,)})
    capacity: Optional[float] = hparam(min=0)
    gamma: float = hparam(min=0, only_if={"capacity": GIVEN})


@scheduled
class IWAE(VAE):
    k: int = setting(min=1)

    def __post_init__(self) -> None:
        if self.z_in_evaluation != "sample":
            raise UserError(f"model.z_in_evaluation={self.z_in_evaluation}: model=iwae averages over samples of z")


MODELS: dict[str, type] = {
    "ae": AE,
    "dae": DAE,
    "sparse": Sparse,
    "contractive": Contractive,
    "vae": VAE,
    "beta_vae": BetaVAE,
    "iwae": IWAE,
}

# --- the other groups -------------------------------------------------------------------------------------------------


@dataclass
class Data:
    name: str = setting(choices=("mnist",))
    root: Optional[str] = setting()
    val_size: int = setting(min=0)
    limit: Optional[int] = setting(min=1)
    binarization: str = setting(choices=("none", "threshold", "static", "dynamic"))


@dataclass
class Device:
    name: str = setting(choices=("auto", "cpu", "cuda"))
    index: int = setting(min=0, only_if={"name": ("auto", "cuda")})
    precision: str = setting(choices=("fp32", "tf32", "bf16", "fp16"))
    threads: Optional[int] = setting(min=1)
    deterministic: bool = setting(only_if={"name": ("auto", "cuda")})


@dataclass
class Optimizer:
    """What every optimizer has."""

    name: str = setting()
    lr: float = setting(above=0)
    schedule: Schedule = field(default_factory=Schedule)


@dataclass
class FirstOrder(Optimizer):
    name: str = setting(choices=("adam", "adamw", "sgd"))
    betas: list[float] = setting(min=0, below=1, only_if={"name": ("adam", "adamw")})
    eps: float = setting(above=0, only_if={"name": ("adam", "adamw")})
    momentum: float = setting(min=0, below=1, only_if={"name": ("sgd",)})
    weight_decay: float = setting(min=0)

    def __post_init__(self) -> None:
        if len(self.betas) != 2:
            raise UserError(f"optimizer.betas={self.betas}: give two numbers, as in optimizer.betas=[0.9,0.999]")


@dataclass
class LBFGS(Optimizer):
    name: str = setting(choices=("lbfgs",))
    iterations: int = setting(min=1)
    history: int = setting(min=1)


@dataclass
class Trainer:
    epochs: int = setting(min=1)
    max_steps: Optional[int] = setting(min=1)
    batch_size: int = setting(min=1)
    eval_batch_size: int = setting(min=1)
    clip_norm: Optional[float] = setting(above=0)
    patience: Optional[int] = setting(min=1)
    min_delta: float = setting(min=0)
    log_every: int = setting(min=1)
    grid_epochs: int = setting(min=1)
    checkpoint_epochs: int = setting(min=1)
    checkpoint_minutes: float = setting(above=0)
    on_nonfinite: str = setting(choices=("stop", "skip"))
    compile: bool = setting()
    cuda_graph: bool = setting()
    nll_samples: int = setting(min=0)
    objective_metric: Optional[str] = setting()


@dataclass
class Task:
    name: str = setting(choices=("train", "linear", "classify", "report"))


@dataclass
class ReportTask(Task):
    pass


@dataclass
class LinearTask(Task):
    code_sizes: list[int] = setting(min=1)
    train: bool = setting()


@dataclass
class ClassifyTask(Task):
    layers: list[int] = setting(min=1)
    softmax_decay: float = setting(min=0)
    softmax_iterations: int = setting(min=1)
    fine_tune: bool = setting()
    fine_tune_optimizer: str = setting(choices=("adam", "lbfgs"))
    fine_tune_epochs: int = setting(min=1, only_if={"fine_tune_optimizer": ("adam",)})
    fine_tune_lr: float = setting(above=0, only_if={"fine_tune_optimizer": ("adam",)})
    fine_tune_batch_size: int = setting(min=1, only_if={"fine_tune_optimizer": ("adam",)})
    fine_tune_iterations: int = setting(min=1, only_if={"fine_tune_optimizer": ("lbfgs",)})
    fine_tune_decay: float = setting(min=0)


@dataclass
class Config:
    """A whole run."""

    model: Model = MISSING
    data: Data = MISSING
    device: Device = MISSING
    optimizer: Optimizer = MISSING
    trainer: Trainer = MISSING
    task: Task = MISSING
    seed: int = setting(min=0, max=2**63 - 1)


TASKS: dict[str, type] = {"train": Task, "linear": LinearTask, "classify": ClassifyTask, "report": ReportTask}
OPTIMIZERS: dict[str, type] = {"first_order": FirstOrder, "lbfgs": LBFGS}
GROUPS: dict[str, type] = {"data": Data, "device": Device, "optimizer": Optimizer, "trainer": Trainer, "task": Task}


@functools.cache  # once per process
def register() -> None:
    """Make the dataclasses known to Hydra, under hydra/schema/ so that --help does not list them as options."""
    store = ConfigStore.instance()
    store.store(name="config_schema", node=Config)
    for group, cls in GROUPS.items():
        store.store(group="hydra/schema", name=group, node=cls)
    for name, cls in OPTIMIZERS.items():
        store.store(group="hydra/schema/optimizer", name=name, node=cls)
    for name, cls in TASKS.items():
        store.store(group="hydra/schema/task", name=name, node=cls)
    for name, cls in MODELS.items():
        store.store(group="hydra/schema/model", name=name, node=cls)


# --- what only the whole configuration shows --------------------------------------------------------------------------

IMAGE_SIDES = {"mnist": (28, 28)}
TRAIN_IMAGES = {"mnist": 60_000}  # known without opening the files, so that a wrong size is answered at once


def train_size(data: Data) -> int:
    """Images in the training split."""
    size = TRAIN_IMAGES[data.name] - data.val_size
    return size if data.limit is None else min(size, data.limit)


def total_steps(config: Config) -> int:
    """Optimizer steps of a whole run."""
    steps = config.trainer.epochs * (train_size(config.data) // config.trainer.batch_size)
    return steps if config.trainer.max_steps is None else min(steps, config.trainer.max_steps)


def check_run(config: Config) -> None:
    """Raise a UserError for values that do not go together, or not with this machine."""
    if config.trainer.compile and not shutil.which(cxx := os.environ.get("CXX", "g++")):
        raise UserError(
            f"trainer.compile=true: torch.compile needs a C++ compiler and {cxx} was not found; install one, name it "
            "in CXX, or leave trainer.compile out"
        )
    total = TRAIN_IMAGES[config.data.name]
    if config.data.val_size >= total:
        raise UserError(
            f"data.val_size={config.data.val_size}: {config.data.name} has {total} training images and none would be "
            "left; 10000 is usual"
        )
    if config.trainer.batch_size > (size := train_size(config.data)):
        raise UserError(
            f"trainer.batch_size={config.trainer.batch_size}: larger than the training split of {size} images; "
            f"give at most {size}"
        )
    sides, halvings = IMAGE_SIDES[config.data.name], len(config.model.channels)
    if config.model.arch == "conv" and any(side % 2**halvings for side in sides):
        raise UserError(
            f"model.channels={config.model.channels}: {halvings} stride-2 layers need image sides divisible by "
            f"{2**halvings}, these are {sides[0]}x{sides[1]}; give fewer channels"
        )
    if config.trainer.patience is not None and config.data.val_size == 0:
        raise UserError(
            f"trainer.patience={config.trainer.patience}: early stopping needs validation images; "
            "give data.val_size=10000"
        )
    if getattr(config.optimizer, "weight_decay", 0) > 0 and getattr(config.model, "weight_decay", 0) > 0:
        raise UserError(
            f"optimizer.weight_decay={config.optimizer.weight_decay}: this model has a weight decay of its own in its "
            "objective; give model.weight_decay=0 or optimizer.weight_decay=0"
        )
