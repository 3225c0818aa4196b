"""prior=vamp: VampPrior, the variational mixture of posteriors (Tomczak & Welling 2018)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from aetrain.data.facts import Facts
from aetrain.noise import Noise
from aetrain.priors.prior import Components, MixturePrior, Posterior

NOISE = 0.01  # standard deviation about the image at which the pseudo-inputs start, as in the authors' code
EDGE = 0.05  # from 0 and 1, of that image: at them, a pixel that the noise takes outside would never come back


class Vamp(MixturePrior):
    """p(z) = 1/K Σ_k q(z | u_k) with pseudo-inputs u_k, images that are learned (Tomczak & Welling 2018, eq. 9). They
    start at the mean training image and noise (the authors' at a constant grey, chosen for each data set), and are kept
    in [0, 1] as theirs are, by clipping: outside it a pixel has no gradient.

    A posterior of image and label is given labels for them: the classes in turn, so that the mixture stands, as in the
    paper, for the mean of the posteriors of all training images, of all classes.
    """

    def __init__(self, components: int, code_shape: tuple[int, ...], facts: Facts, noise: Noise, posterior: Posterior):
        super().__init__(code_shape, noise)
        image = facts.mean_image.to(torch.get_default_dtype()).clamp(EDGE, 1 - EDGE)
        self.pseudo_inputs = nn.Parameter(image + NOISE * torch.randn(components, *facts.image_shape))
        self.register_buffer("labels", torch.arange(components) % max(facts.n_classes, 1), persistent=False)
        self._posterior = posterior

    def images(self) -> Tensor:
        """The pseudo-inputs: (K, C, H, W) in [0, 1]."""
        return self.pseudo_inputs.clamp(0, 1)

    def components(self) -> Components:
        mu, logvar = self._posterior(self.images(), self.labels)
        return Components(mu.new_full((len(mu),), -math.log(len(mu))), mu, logvar)


def prior(config, code_shape, facts, noise, posterior) -> Vamp:
    return Vamp(config.components, code_shape, facts, noise, posterior)
