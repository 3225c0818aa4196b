"""What every model's configuration has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from aetrain.config.fields import hparam, setting
from aetrain.config.schema.net import ACTIVATIONS, Net
from aetrain.errors import UserError

LIKELIHOODS = ("squared_error", "bernoulli", "continuous_bernoulli", "gaussian", "discretized_logistic")
LINKED = ("squared_error", "gaussian", "discretized_logistic")  # whose image model.output makes of the decoder's output


@dataclass
class Model:
    """The keys of every model. needs_labels: whether the model is given the class of every image. takes_prior: whether
    what codes are like before the image is seen is a choice of its own (prior=…). is_discrete: whether its code is
    vectors chosen from a codebook, whose numbers do not move on their own."""

    needs_labels: ClassVar[bool] = False
    takes_prior: ClassVar[bool] = False
    is_discrete: ClassVar[bool] = False

    name: str = setting("the model's name")
    latent_dim: int = setting("dimensions of the code", min=1)
    likelihood: str = setting("how recon compares an image with its decoding", choices=LIKELIHOODS)
    output: str = setting("link from the decoder's output to the mean image", choices=("identity", "sigmoid"),
                          only_if={"likelihood": LINKED})  # fmt: skip
    sigma_mode: str = setting(
        "where sigma comes from: given, learned, or the root mean squared error (Rybkin et al. 2021)",
        choices=("fixed", "learned", "optimal"), only_if={"likelihood": ("gaussian",)},
    )  # fmt: skip
    sigma: float = hparam("standard deviation of a pixel", above=0, unit="grey levels of 1",
                          only_if={"likelihood": ("gaussian",), "sigma_mode": ("fixed",)})  # fmt: skip
    sigma_per_channel: bool = setting(
        "whether every channel has a sigma of its own",
        only_if={"likelihood": ("gaussian",), "sigma_mode": ("learned", "optimal")},
    )  # fmt: skip
    output_bias: str = setting("where the decoder's last bias starts: at random, or decoding the mean training image",
                               choices=("random", "data"))  # fmt: skip

    def varying(self, net: Net) -> str | None:
        """What makes the objective of one batch differ from evaluation to evaluation, as one types it; or None."""
        return None

    def check(self, net: Net) -> None:
        """Raise a UserError for values that do not go together with these networks."""


@dataclass
class Deterministic(Model):
    """A model whose code is a function of the image."""

    code_activation: str = setting("of the code", choices=("identity", *ACTIVATIONS))
    tied: bool = setting("whether the decoder's weights are the encoder's, transposed (net=linear or mlp)")

    def check(self, net: Net) -> None:
        if self.tied and not net.is_dense:
            raise UserError(
                f"model.tied=true: tied weights need net=linear or net=mlp, not {net.name}; give model.tied=false"
            )
