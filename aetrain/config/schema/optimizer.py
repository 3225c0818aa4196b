"""The optimizers."""

from __future__ import annotations

from dataclasses import dataclass, field

from aetrain.config.fields import setting
from aetrain.config.schema.schedule import Schedule
from aetrain.errors import UserError

OF_ADAM = {"name": ("adam", "adamw")}


@dataclass
class Optimizer:
    """The keys of every optimizer."""

    name: str = setting("the optimizer's name")
    lr: float = setting("learning rate", above=0)
    schedule: Schedule = field(default_factory=Schedule)


@dataclass
class FirstOrder(Optimizer):
    name: str = setting("the optimizer's name", choices=("adam", "adamw", "sgd"))
    betas: list[float] = setting("decay rates of the two moments", min=0, below=1, only_if=OF_ADAM)
    eps: float = setting("added to the root of the second moment", above=0, only_if=OF_ADAM)
    momentum: float = setting("share of the last update that is kept", min=0, below=1, only_if={"name": ("sgd",)})
    weight_decay: float = setting("L2 penalty added to the gradient; with adamw, share of each weight that is removed "
                                  "per step, times lr", min=0)  # fmt: skip

    def __post_init__(self) -> None:
        if len(self.betas) != 2:
            raise UserError(f"optimizer.betas={self.betas}: give two numbers, as in optimizer.betas=[0.9,0.999]")


@dataclass
class LBFGS(Optimizer):
    name: str = setting("the optimizer's name", choices=("lbfgs",))
    iterations: int = setting("iterations per training step", min=1)
    history: int = setting("past iterations that the curvature is estimated from", min=1)
