"""The priors of the VAEs: what codes are like before the image is seen. See aetrain/priors/."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aetrain.config.fields import setting


@dataclass
class Prior:
    """is_closed: whether the KL of a posterior from it has a closed form; else it is estimated at draws of the
    posterior."""

    is_closed: ClassVar[bool] = False

    name: str = setting("the prior's name")


@dataclass
class Normal(Prior):
    """The standard normal distribution."""

    is_closed: ClassVar[bool] = True


@dataclass
class Mixture(Prior):
    """Gaussians, each with a learned mean, variances and weight."""

    components: int = setting("Gaussians of the mixture", min=1)


@dataclass
class Vamp(Prior):
    """VampPrior (Tomczak & Welling 2018): the posteriors of learned images, the pseudo-inputs, in equal parts."""

    components: int = setting("pseudo-inputs, whose posteriors are the mixture", min=1)
