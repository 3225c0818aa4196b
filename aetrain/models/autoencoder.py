"""The contract that every model keeps, and what all of them share."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from aetrain import losses
from aetrain.config.fields import hparams
from aetrain.config.schema.model.base import LINKED
from aetrain.data.facts import Facts
from aetrain.errors import UserError
from aetrain.nets import build_decoder, build_encoder
from aetrain.nets.activations import ACTIVATIONS
from aetrain.noise import Noise
from aetrain.priors.prior import Prior

SIGMA_FLOOR = math.exp(-6)  # smallest sigma of the Gaussian that is not fixed (Rybkin et al. 2021): 0.6 grey levels
SCALE_FLOOR = math.exp(-7)  # smallest scale of the discretized logistic: 0.2 grey levels, of which it hardly leaves one
SCALE = 0.1  # where it starts: about the spread of images around their mean


class Autoencoder(nn.Module):
    """A variant writes `terms`, `weights` and whatever of the rest differs from a plain autoencoder.

    Every hparam of the configuration is a 0-D non-persistent buffer of the same name: the configuration is its only
    stored source, and a schedule writes the buffer in place.
    """

    outputs_per_latent: ClassVar[int] = 1  # numbers that the encoder gives for each dimension of the code
    unit_norm_decoder: bool = False
    pair_terms: ClassVar[tuple[str, ...]] = ()  # names of what `pairwise` gives

    def __init__(self, config, net, facts: Facts):
        super().__init__()
        self.config, self.facts = config, facts
        self.noise = Noise()
        self.prior: Prior | None = None  # of a VAE: what `build` gives it, see aetrain/priors/
        self._split_statistics: Mapping[str, Tensor] = {}
        self.encoder, self.decoder = self.networks(net)
        for name, value in hparams(config).items():
            self.register_buffer(name, torch.tensor(value), persistent=False)
        if config.likelihood == "gaussian" and config.sigma_mode == "learned":
            self.log_sigma = nn.Parameter(torch.zeros(facts.image_shape[:1] if config.sigma_per_channel else ()))
        if config.likelihood == "discretized_logistic":
            self.log_scale = nn.Parameter(torch.full(facts.image_shape[:1], math.log(SCALE)))
        if config.output_bias == "data":
            self._set_output_bias(facts.mean_image)

    # --- the contract

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        """Everything the objective is made of, and whatever else is worth a curve: each (B,), unweighted.
        x: (B, C, H, W) in [0, 1], y: labels (B,)."""
        raise NotImplementedError

    def weights(self) -> dict[str, Tensor | float]:
        """The coefficients of the terms that the objective adds up; a term that is not named here is only logged."""
        raise NotImplementedError

    def adversary(self) -> tuple[str, ...]:
        """Names of the terms that a training step minimises beside the loss, on parameters that the loss does not
        reach: those of a network that plays against the model. The loss, the best epoch and patience leave them out."""
        return ()

    def groups(self) -> dict[str, dict[str, Any]]:
        """Settings of the optimizer, "lr" and with Adam "betas", that the parameters of a part of the model have of
        their own, by the part's name: {"discriminator": {"lr": 1e-4, "betas": (0.5, 0.9)}}. Schedules of the learning
        rate apply to all; gradients are clipped part by part."""
        return {}

    def forward(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        """{"loss": Σ weight · term, **terms}, all (B,). The one place where weights meet terms."""
        terms = self.terms(x, y)
        # No product with 1 and no sum with 0: of a small network's step each would take a hundredth.
        weighted = (
            terms[name] if isinstance(weight, float) and weight == 1 else weight * terms[name]
            for name, weight in self.weights().items()
        )
        return {"loss": reduce(operator.add, weighted), **terms}

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Shape of one image's code: (D,)."""
        return (self.config.latent_dim,)

    @property
    def decoder_inputs(self) -> int:
        """Numbers that the decoder's network is given: those of the code and, in a conditional model, of the label."""
        return self.config.latent_dim

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, C, H, W) -> (B, *code_shape), deterministic."""
        return ACTIVATIONS[self.config.code_activation](self.encoder_output(x, y))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """(B, *code_shape) -> the mean image, (B, C, H, W)."""
        return self.mean_image(self.decoder_output(z, y))

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The mean image of an image's code, without noise: (B, C, H, W) -> (B, C, H, W)."""
        return self.decode(self.encode(x, y), y)

    @torch.no_grad()
    def score(self, x: Tensor, y: Tensor | None = None, seed: int = 0) -> Tensor:
        """How badly the model explains each image: its negative ELBO, in nats, where it has one, else its recon.
        (B, C, H, W) -> (B,). The noise of an image depends on the seed and its place in the batch. A sigma that is
        optimal is that of this batch."""
        was_training = self.training
        self.eval()
        try:
            with self.noise.fixed(seed):
                terms = self.terms(x, y)
        finally:
            self.train(was_training)
        return terms.get("nelbo", terms["recon"])

    def sample(self, n: int, y: Tensor | None = None) -> Tensor:
        """Mean images of n draws from the prior, y: (n,) labels -> (n, C, H, W). Raises a UserError without one."""
        if self.prior is None:
            raise self._lacks("has no prior to sample from")
        return self.decode(self.prior.sample(n, next(self.parameters())), y)

    @property
    def has_posterior(self) -> bool:
        """Whether q(z | x) is a distribution, which `posterior` gives, and not the one code of `encode`."""
        return False

    def posterior(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """mu and logvar of q(z | x). x: (B, C, H, W) -> two of (B, D). Raises a UserError for a model that has none."""
        raise self._lacks("has no posterior, its code is a function of the image")

    def log_likelihood(self, x: Tensor, z: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(x | z) in nats. x: (B, C, H, W), z: (B, *code_shape) -> (B,). Raises a UserError where the
        reconstruction term is no likelihood."""
        if self.config.likelihood == "squared_error":
            raise self._lacks("has no likelihood with model.likelihood=squared_error, take gaussian or bernoulli")
        return -self.reconstruction(x, z, y)

    def _lacks(self, what: str) -> UserError:
        return UserError(f"model={self.config.name}: {what}")

    def corrupt(self, x: Tensor) -> Tensor:
        """What the encoder is given for x; x itself unless the model denoises."""
        return x

    def draw_code(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The code that the objective decodes, with the noise that the model has: (B, C, H, W) -> (B, *code_shape)."""
        return self.encode(self.corrupt(x), y)

    def encoder_output(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """What the encoder's network says of an image and, in a conditional model, its label: (B, outputs). Raises a
        UserError for images of another shape."""
        self.check_images(x)
        return self.encoder(x)

    def check_images(self, x: Tensor) -> None:
        if x.shape[1:] != self.facts.image_shape:
            raise UserError(f"images of shape {tuple(x.shape)}: this model takes (B, {str(self.facts.image_shape)[1:]}")

    def decoder_output(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """What the decoder's network says of a code and, in a conditional model, a label, before the link that makes
        it an image: (B, C, H, W)."""
        return self.decoder(z)

    def latents(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        """Per-image quantities, each (B, D), that `diagnostics` needs of a whole split."""
        return {"code": self.encode(x, y)}

    def diagnostics(self, latents: dict[str, Tensor]) -> dict[str, Tensor]:
        """What a split's latents, each (N, D), say: 0-D values become curves, 1-D ones histograms, and what has a value
        for each dimension or pair of dimensions goes into result.json."""
        return {"code": latents["code"].flatten()}

    def batch_statistics(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        """Means over the batch that enter the objective; in evaluation they are taken over the whole split."""
        if self.config.likelihood == "gaussian" and self.config.sigma_mode == "optimal":
            return {"variance": self._mean_square(x, self.decode(self.draw_code(x, y), y))}
        return {}

    def paired(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        """Per-image quantities, (B, …) each, whose pairs enter the objective, for `pairwise`; none for most models."""
        return {}

    def pairwise(self, paired: dict[str, Tensor]) -> dict[str, Tensor]:
        """Terms made of pairs of images: (B,) each."""
        return {}

    def of_pairs(self, paired: dict[str, Tensor]) -> dict[str, Tensor]:
        """`pairwise` of the batch; in evaluation the mean over a split's first images, for every image: (B,) each."""
        known = self._split_statistics
        if self.pair_terms and all(name in known for name in self.pair_terms):
            n = len(next(iter(paired.values())))
            return {name: known[name].expand(n) for name in self.pair_terms}
        return self.pairwise(paired)

    def findings(self, terms: Mapping[str, float], diagnostics: Mapping[str, Tensor]) -> list[str]:
        """What a person should know of a trained model's terms, means over a split, and diagnostics, a sentence
        each."""
        return []

    def after_collapse(self) -> str:
        """What to try where a trained model decodes every image to the same one."""
        return "try a smaller optimizer.lr, trainer.clip_norm=1 or another net.activation"

    # --- what variants are written with

    def networks(self, net) -> tuple[nn.Module, nn.Module]:
        """Encoder and decoder."""
        shape = self.facts.image_shape
        encoder = build_encoder(net, shape, self.config.latent_dim * self.outputs_per_latent)
        tied_to = encoder if getattr(self.config, "tied", False) else None
        return encoder, build_decoder(net, self.decoder_inputs, shape, self.unit_norm_decoder, tied_to)

    def compare(self, x: Tensor, z: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        """{"recon": the reconstruction term of x given its code}: nats for a likelihood, squared pixel units for
        squared_error. Beside it the likelihood's "sigma" or "scale", where that is not fixed, of several channels
        "sigma_0" and so on. x: (B, C, H, W), z: (B, *code_shape) -> (B,) each."""
        out = self.decoder_output(z, y)
        match self.config.likelihood:
            case "bernoulli":
                return {"recon": losses.bernoulli_nll(x, out)}
            case "continuous_bernoulli":
                return {"recon": losses.continuous_bernoulli_nll(x, out)}
            case "squared_error":
                return {"recon": losses.squared_error(x, self.mean_image(out))}
            case "discretized_logistic":
                scale = self.current_scale()
                recon = losses.discretized_logistic_nll(x, self.mean_image(out), scale)
                return {"recon": recon, **_by_channel("scale", scale, len(x))}
        mean = self.mean_image(out)
        if self.config.sigma_mode == "fixed":
            return {"recon": losses.gaussian_nll(x, mean, self.sigma)}
        sigma = self.current_sigma(x, mean)
        return {"recon": losses.gaussian_nll(x, mean, sigma), **_by_channel("sigma", sigma, len(x))}

    def reconstruction(self, x: Tensor, z: Tensor, y: Tensor | None = None) -> Tensor:
        """`compare`'s recon: (B,)."""
        return self.compare(x, z, y)["recon"]

    def current_sigma(self, x: Tensor, mean: Tensor) -> Tensor:
        """The Gaussian's standard deviation where it is not fixed, 0-D or of each channel, (C,): learned, or the one
        that maximises the likelihood, the root of the batch's mean squared error (σ-VAE, Rybkin et al. 2021, eq. 7)."""
        if self.config.sigma_mode == "learned":
            return _above(SIGMA_FLOOR, self.log_sigma)
        return self.statistic("variance", self._mean_square(x, mean)).clamp(min=SIGMA_FLOOR**2).sqrt()

    def current_scale(self) -> Tensor:
        """The discretized logistic's, learned, of each channel (as in Kingma et al. 2016, of whole images): (C,)."""
        return _above(SCALE_FLOOR, self.log_scale)

    def _mean_square(self, x: Tensor, mean: Tensor) -> Tensor:
        """Mean squared error per pixel: 0-D, or of each channel, (C,)."""
        square = (x - mean).square()
        return square.mean((0, 2, 3)) if self.config.sigma_per_channel else square.mean()

    def mean_image(self, out: Tensor) -> Tensor:
        """The image that a decoder's output stands for: the likelihood's mean; of the discretized logistic its
        location, which is the mean but for the tails beyond 0 and 1."""
        if self.config.likelihood == "continuous_bernoulli":
            return losses.continuous_bernoulli_mean(out)
        is_logits = self.config.likelihood == "bernoulli" or self.config.output == "sigmoid"
        return torch.sigmoid(out) if is_logits else out

    def _set_output_bias(self, mean_image: Tensor) -> None:
        """Let the decoder start at the mean training image (Burda et al. 2015, code): its logit where a sigmoid
        follows, held off 0 and 1 as theirs is. mean_image: (C, H, W)."""
        bias = self.decoder.output_bias
        mean = mean_image.to(bias)
        mean = mean.flatten() if bias.numel() == mean.numel() else mean.mean((1, 2))  # convolutions: one per channel
        linear = self.config.likelihood in LINKED and self.config.output == "identity"
        with torch.no_grad():
            bias.copy_(mean if linear else torch.logit(mean.clamp(0.001, 0.999)))

    def statistic(self, name: str, batch_value: Tensor) -> Tensor:
        """The whole split's value of a batch statistic where one is set (evaluation), else the batch's own."""
        return self._split_statistics.get(name, batch_value)

    @contextmanager
    def split_statistics(self, values: Mapping[str, Tensor]) -> Iterator[None]:
        """Within: `statistic` answers with these values."""
        before, self._split_statistics = self._split_statistics, values
        try:
            yield
        finally:
            self._split_statistics = before


def _above(floor: float, log_value: Tensor) -> Tensor:
    """e^log_value with a soft lower bound: a hard one would have no gradient below it, and no way back."""
    return torch.exp(math.log(floor) + nn.functional.softplus(log_value - math.log(floor)))


def _by_channel(name: str, values: Tensor, n: int) -> dict[str, Tensor]:
    """A number of all pixels, 0-D, or one of each channel, (C,), as terms of n images: (n,) each."""
    if values.numel() == 1:
        return {name: values.expand(n)}
    return {f"{name}_{channel}": value.expand(n) for channel, value in enumerate(values.unbind())}
