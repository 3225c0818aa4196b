"""prior=mixture: Gaussians that are learned with the model."""

from __future__ import annotations

import math

import torch
from torch import nn

from aetrain.noise import Noise
from aetrain.priors.prior import Components, MixturePrior

SPREAD = 0.5  # share of the variance, at the start, that is between the components


class Mixture(MixturePrior):
    """K Gaussians with means, variances and weights of their own. They start at random places with equal weights, and
    are together about N(0, I)."""

    def __init__(self, components: int, code_shape: tuple[int, ...], noise: Noise):
        super().__init__(code_shape, noise)
        self.logits = nn.Parameter(torch.zeros(components))
        self.mu = nn.Parameter(math.sqrt(SPREAD) * torch.randn(components, *code_shape))
        self.logvar = nn.Parameter(torch.full((components, *code_shape), math.log(1 - SPREAD)))

    def components(self) -> Components:
        return Components(torch.log_softmax(self.logits, 0), self.mu, self.logvar)


def prior(config, code_shape, facts, noise, posterior) -> Mixture:
    return Mixture(config.components, code_shape, noise)
