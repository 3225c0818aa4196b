"""Sparse autoencoders."""

from __future__ import annotations

from typing import Optional

from aetrain.config.fields import GIVEN, hparam, setting
from aetrain.config.schema.model.base import Deterministic
from aetrain.config.schema.net import Net
from aetrain.config.schema.schedule import scheduled
from aetrain.errors import UserError

WITH_KL = {"penalty": ("kl",)}
WITH_TOPK = {"penalty": ("topk",)}
WITH_AUX = {**WITH_TOPK, "k_aux": GIVEN}


@scheduled
class Sparse(Deterministic):
    """Sparse autoencoder (Ng 2011; Makhzani & Frey 2013): recon + sparsity_weight · sparsity + l2_weight · l2."""

    penalty: str = setting("on the code: KL of rho and the mean activation, L1 with decoder columns of norm 1, or none "
                           "but the k largest activations kept", choices=("kl", "l1", "topk"))  # fmt: skip
    rho: float = hparam("target mean activation of every unit", above=0, below=1, only_if=WITH_KL)
    rho_hat: str = setting("what the mean activation is taken over: the batch, or a moving average of batches",
                           choices=("batch", "ema"), only_if=WITH_KL)  # fmt: skip
    rho_decay: float = hparam("share of the moving average that is kept at every step", min=0, below=1,
                              only_if={**WITH_KL, "rho_hat": ("ema",)})  # fmt: skip
    k: int = setting("largest activations that are kept, the others are set to 0", min=1, only_if=WITH_TOPK)
    k_evaluation: Optional[int] = setting("the same in evaluation; null: k", min=1, only_if=WITH_TOPK)
    k_aux: Optional[int] = setting(
        "largest activations among dead units that learn to reconstruct what the others leave; null: none", min=1,
        only_if=WITH_TOPK)  # fmt: skip
    dead_after: int = setting("images none of which activates a unit, and it is dead", min=1, only_if=WITH_AUX)
    aux_weight: float = hparam("coefficient of aux, their squared error", min=0, only_if=WITH_AUX)
    sparsity_weight: float = hparam("coefficient of sparsity (nats with kl, units of the code with l1)", min=0,
                                    only_if={"penalty": ("kl", "l1")})  # fmt: skip
    l2_weight: float = hparam("coefficient of l2, the sum of all squared weights, biases left out", min=0)

    def __post_init__(self) -> None:
        if self.penalty == "kl" and self.code_activation != "sigmoid":
            raise UserError(
                f"model.code_activation={self.code_activation}: model.penalty=kl compares mean activations "
                "with rho, so the code must lie in (0, 1); use sigmoid, or model.penalty=l1"
            )
        if self.penalty == "topk" and max(self.k, self.k_evaluation or 0, self.k_aux or 0) > self.latent_dim:
            raise UserError(
                f"model.k={self.k}, model.k_evaluation={self.k_evaluation}, model.k_aux={self.k_aux}: the code has "
                f"only model.latent_dim={self.latent_dim} units"
            )

    def check(self, net: Net) -> None:
        super().check(net)
        if self.penalty == "l1" and (not net.is_dense or self.tied):
            raise UserError(
                "model.penalty=l1 keeps the decoder's columns at unit norm, which needs net=linear or net=mlp and "
                "model.tied=false"
            )

        is_linear = net.name == "linear" and self.likelihood == "squared_error" and self.output == "identity"
        if self.penalty == "topk" and self.k_aux and not is_linear:
            raise UserError(
                f"model.k_aux={self.k_aux}: a part of the squared error can be left to dead units where the decoder "
                "adds up what units add; give net=linear model.likelihood=squared_error model.output=identity"
            )

    def varying(self, net: Net) -> str | None:
        if self.penalty == "topk" and self.k_aux:
            return f"model.k_aux={self.k_aux}"
        return "model.rho_hat=ema" if self.penalty == "kl" and self.rho_hat == "ema" else None
