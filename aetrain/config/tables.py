"""Every name that a configuration may carry, and what it stands for. A name that is not here is refused, wherever it
comes from: no name in a configuration is ever imported.

Beside ours stand those of installed packages, by entry points (groups aetrain.models, aetrain.nets,
aetrain.priors, aetrain.data).
Whoever installs a package lets its code run; a configuration file cannot install one.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint

from aetrain.config.packages import offers, package_of
from aetrain.config.schema import data, net, optimizer, prior
from aetrain.config.schema.device import Device
from aetrain.config.schema.logger import MLflow, TensorBoard, WandB
from aetrain.config.schema.model.ae import AE
from aetrain.config.schema.model.beta_tcvae import BetaTCVAE
from aetrain.config.schema.model.beta_vae import BetaVAE
from aetrain.config.schema.model.contractive import Contractive
from aetrain.config.schema.model.cvae import CVAE
from aetrain.config.schema.model.dae import DAE
from aetrain.config.schema.model.dip_vae import DIPVAE
from aetrain.config.schema.model.factor_vae import FactorVAE
from aetrain.config.schema.model.iwae import IWAE
from aetrain.config.schema.model.sparse import Sparse
from aetrain.config.schema.model.vae import VAE
from aetrain.config.schema.model.vq_vae import VQVAE
from aetrain.config.schema.model.wae import WAE
from aetrain.config.schema.task.anomaly import Anomaly
from aetrain.config.schema.task.base import OnRun
from aetrain.config.schema.task.classify import ClassifyTask
from aetrain.config.schema.task.denoise import Denoise
from aetrain.config.schema.task.embed import Embed
from aetrain.config.schema.task.evaluate import Evaluate
from aetrain.config.schema.task.explore import Explore
from aetrain.config.schema.task.export import Export
from aetrain.config.schema.task.inpaint import Inpaint
from aetrain.config.schema.task.inspect import Inspect
from aetrain.config.schema.task.interpolate import Interpolate
from aetrain.config.schema.task.linear import LinearTask
from aetrain.config.schema.task.manifold import Manifold
from aetrain.config.schema.task.reconstruct import Reconstruct
from aetrain.config.schema.task.report import Report
from aetrain.config.schema.task.retrieve import Retrieve
from aetrain.config.schema.task.sample import Sample
from aetrain.config.schema.task.train import Train
from aetrain.config.schema.task.traverse import Traverse
from aetrain.config.schema.trainer import Trainer
from aetrain.errors import UserError


class Table(Mapping[str, type]):
    """Names to dataclasses: ours, and those of installed packages, which are looked for when first asked.

    What a name does is in the module `<room>.<name>` of ours, or in the module `<member>` beside the installed
    dataclass's own."""

    def __init__(self, group: str, ours: dict[str, type], room: str, member: str, shared: dict[str, str] | None = None):
        """shared: the module of names that have none of their own."""
        self.group, self._ours, self._room, self._member = group, ours, room, member
        self._shared = shared or {}

    @property
    def refused(self) -> list[str]:
        """A line for each name that a package offers and that is ours already."""
        return [
            f"the installed package {package_of(point)} offers {point.name} to aetrain.{self.group}, which is a name "
            "of aetrain's own: ours is taken"
            for point in offers(self.group)
            if point.name in self._ours
        ]

    def __getitem__(self, name: str) -> type:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def module(self, name: str) -> str:
        """The module that holds what a name does. Raises KeyError for a name that is not in the table."""
        if name in self._ours:
            return f"{self._room}.{self._shared.get(name, name)}"
        return f"{self._points[name].module.rpartition('.')[0]}.{self._member}"

    @functools.cached_property
    def _points(self) -> dict[str, EntryPoint]:
        points: dict[str, EntryPoint] = {}
        for point in offers(self.group):
            if (other := points.setdefault(point.name, point)) is not point:
                raise UserError(
                    f"the installed packages {package_of(other)} and {package_of(point)} both offer {point.name} to "
                    f"aetrain.{self.group}; uninstall one"
                )
        return {name: point for name, point in points.items() if name not in self._ours}

    @functools.cached_property
    def _all(self) -> dict[str, type]:
        return self._ours | {name: _loaded(self.group, point) for name, point in self._points.items()}


def _loaded(group: str, point: EntryPoint) -> type:
    told = f"the installed package {package_of(point)} offers {point.name} to aetrain.{group}"
    try:
        cls = point.load()
    except (Exception, SystemExit) as error:  # which package it is, is what a person must know
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{told}, which cannot be loaded ({reason}); fix or uninstall it") from error
    if not dataclasses.is_dataclass(cls) or not isinstance(cls, type):
        raise UserError(f"{told}, whose {point.value} is no dataclass; fix or uninstall it")
    return cls


MODELS = Table(
    "models",
    {"ae": AE, "dae": DAE, "sparse": Sparse, "contractive": Contractive,
     "vae": VAE, "beta_vae": BetaVAE, "iwae": IWAE, "cvae": CVAE, "beta_tcvae": BetaTCVAE,
     "dip_vae": DIPVAE, "factor_vae": FactorVAE, "wae": WAE, "vq_vae": VQVAE},
    "aetrain.models",
    "model",
)  # fmt: skip
NETS = Table(
    "nets",
    {
        "linear": net.Linear,
        "mlp": net.MLP,
        "gated": net.Gated,
        "conv": net.Conv,
        "residual": net.Residual,
        "burgess": net.Burgess,
    },
    "aetrain.nets",
    "net",
)
PRIORS = Table(
    "priors",
    {"normal": prior.Normal, "mixture": prior.Mixture, "vamp": prior.Vamp},
    "aetrain.priors",
    "prior",
)
SETS = Table(
    "data",
    {"mnist": data.MNIST, "folder": data.Folder, "array": data.Array, "parquet": data.Parquet,
     "digits": data.Digits, "patches": data.Patches,
     "shapes": data.Shapes, "moons": data.Points, "circles": data.Points, "spiral": data.Points,
     "fashion_mnist": data.Vision, "kmnist": data.Vision, "cifar10": data.Vision, "cifar100": data.Vision,
     "celeba": data.CelebA},
    "aetrain.data",
    "data",
    shared=dict.fromkeys(("moons", "circles", "spiral"), "points")
    | dict.fromkeys(("fashion_mnist", "kmnist", "cifar10", "cifar100"), "vision"),
)  # fmt: skip
OPTIMIZERS = dict.fromkeys(("adam", "adamw", "sgd"), optimizer.FirstOrder) | {"lbfgs": optimizer.LBFGS}
# What trains, and what is done with trained models.
TASKS: dict[str, type] = {
    "train": Train,
    "linear": LinearTask,
    "classify": ClassifyTask,
    "report": Report,
    "evaluate": Evaluate,
    "reconstruct": Reconstruct,
    "sample": Sample,
    "traverse": Traverse,
    "interpolate": Interpolate,
    "manifold": Manifold,
    "inspect": Inspect,
    "embed": Embed,
    "retrieve": Retrieve,
    "denoise": Denoise,
    "inpaint": Inpaint,
    "anomaly": Anomaly,
    "export": Export,
    "explore": Explore,
}
ON_RUNS: dict[str, type[OnRun]] = {name: cls for name, cls in TASKS.items() if issubclass(cls, OnRun)}
LOGGERS = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WandB}
DEVICES = dict.fromkeys(("auto", "cpu", "cuda", "mps"), Device)

# Group -> option -> dataclass. `trainer` has no name: its one dataclass is the group's.
GROUPS: dict[str, Mapping[str, type]] = {
    "model": MODELS,
    "net": NETS,
    "prior": PRIORS,
    "data": SETS,
    "device": DEVICES,
    "optimizer": OPTIMIZERS,
    "logger": LOGGERS,
    "task": TASKS,
}
TRAINER = Trainer
