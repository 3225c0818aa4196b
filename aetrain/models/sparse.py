"""Sparse autoencoder (Ng 2011; Lee, Ekanadham & Ng 2007)."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain import losses
from aetrain.models.autoencoder import Autoencoder

DEAD_RANGE = 0.01  # a unit whose activation varies less than this over a split does not respond to the image


class Sparse(Autoencoder):
    """J = recon + sparsity_weight · sparsity + weight_decay · weight_decay.

    sparsity is Σ_j KL(rho ‖ rho_hat_j) in nats, rho_hat_j the mean activation of unit j over the batch (over the whole
    split in evaluation), or with penalty=l1 Σ_j |code_j|, in units of the code. weight_decay is the sum of all squared
    weights, biases left out. With l1 the decoder's columns have unit norm: otherwise the penalty would vanish by
    shrinking the code and growing the decoder, at no cost in reconstruction.
    """

    def __init__(self, config, facts):
        self.unit_norm_decoder = config.penalty == "l1"
        super().__init__(config, facts)

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        code = self.encode(x)
        recon = self.reconstruction(x, code)
        if self.config.penalty == "l1":
            sparsity = code.abs().sum(1)
        else:
            rho_hat = self.statistic("rho_hat", code.mean(0))
            sparsity = losses.bernoulli_kl(self.rho, rho_hat).sum().expand(len(x))
        return {"recon": recon, "sparsity": sparsity, "weight_decay": self.squared_weights().expand(len(x))}

    def weights(self) -> dict[str, Tensor | float]:
        return {"recon": 1.0, "sparsity": self.sparsity_weight, "weight_decay": self.weight_decay}

    def squared_weights(self) -> Tensor:
        """Σ w² over all weights, without biases: 0-D. By name, since a stacked bias has two dimensions."""
        return torch.stack([p.square().sum() for name, p in self.named_parameters() if name.endswith("weight")]).sum()

    def batch_statistics(self, x: Tensor) -> dict[str, Tensor]:
        return {"rho_hat": self.encode(x).mean(0)} if self.config.penalty == "kl" else {}

    def diagnostics(self, latents: dict[str, Tensor]) -> dict[str, Tensor]:
        code = latents["code"]  # (N, D)
        activation = code.mean(0)
        dead = (code.amax(0) - code.amin(0)) < DEAD_RANGE
        return {
            "mean_activation": activation.mean(),
            "dead_units": dead.sum(),
            "activation_per_unit": activation,
            "code": code.flatten(),
        }
