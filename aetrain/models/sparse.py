"""Sparse autoencoders: KL or L1 (Ng 2011; Lee, Ekanadham & Ng 2007), k-sparse (Makhzani & Frey 2013)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from aetrain import losses
from aetrain.models.autoencoder import Autoencoder
from aetrain.models.dead_units import Idle, largest_of

DEAD_RANGE = 0.01  # a unit whose activation varies less than this over a split does not respond to the image
L0_THRESHOLD = 0.01  # an activation of at most this size counts as zero


class Sparse(Autoencoder):
    """J = recon + sparsity_weight · sparsity + l2_weight · l2.

    penalty=kl: sparsity is Σ_j KL(rho ‖ rho_hat_j) in nats, rho_hat_j the mean activation of unit j over the batch
    (over the whole split in evaluation). With rho_hat=ema its value is a moving average over batches, its gradient
    that of the batch (Hinton 2010, section 11): steadier for small batches.
    penalty=l1: sparsity is Σ_j |code_j|, in units of the code. The decoder's columns have unit norm: otherwise the
    penalty would vanish by shrinking the code and growing the decoder, at no cost in reconstruction.
    penalty=topk: the k largest activations of an image are kept, the others are 0; no sparsity term. With k_aux,
    J has + aux_weight · aux: the squared error with which the k_aux largest activations among dead units, those that
    none of the last `dead_after` images has activated, reconstruct what recon leaves, x − x_hat (Gao et al. 2024,
    appendix A.2); 0 while there are none.
    l2 is the sum of all squared weights, biases left out.
    """

    def __init__(self, config, net, facts):
        self.unit_norm_decoder = config.penalty == "l1"
        super().__init__(config, net, facts)
        if config.penalty == "kl" and config.rho_hat == "ema":
            self.moving = MovingAverage(torch.full(self.code_shape, config.rho))
        self.idle = Idle(config.latent_dim) if config.penalty == "topk" and config.k_aux else None

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.kept(super().encode(x, y))

    def kept(self, code: Tensor) -> Tensor:
        """With penalty=topk the k largest activations, else all: (B, D) in the same form."""
        if self.config.penalty != "topk":
            return code
        return top_k(code, self.config.k if self.training else self.config.k_evaluation or self.config.k)

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        activations = super().encode(x, y)
        code = self.kept(activations)
        terms = self.compare(x, code, y)
        if self.idle is not None:
            terms["aux"] = self.auxiliary(x, activations, code)
        if self.config.penalty == "l1":
            terms["sparsity"] = code.abs().sum(1)
        elif self.config.penalty == "kl":
            terms["sparsity"] = losses.bernoulli_kl(self.rho, self.mean_activation(code)).sum().expand(len(x))
        return {**terms, "l2": self.squared_weights().expand(len(x))}

    def weights(self) -> dict[str, Tensor | float]:
        weights = {"recon": 1.0, "l2": self.l2_weight}
        if self.idle is not None:
            weights["aux"] = self.aux_weight
        return weights if self.config.penalty == "topk" else {**weights, "sparsity": self.sparsity_weight}

    def auxiliary(self, x: Tensor, activations: Tensor, code: Tensor) -> Tensor:
        """aux, in squared pixel units: (B,). activations: all of them, code: those that are kept, (B, D) each."""
        dead = self.idle.images >= self.config.dead_after
        if self.training:
            self.idle.update(code)
        left = (x - self.mean_image(self.decoder_output(code))).detach()
        found = largest_of(activations, dead, self.config.k_aux)
        found = self.decoder_output(found) - self.decoder_output(torch.zeros_like(found[:1]))  # without the bias
        return torch.where(dead.any(), (left - found).square().flatten(1).sum(1), 0.0)

    def mean_activation(self, code: Tensor) -> Tensor:
        """rho_hat: (B, D) -> (D,)."""
        mean = code.mean(0)
        if self.training and self.config.rho_hat == "ema":
            return self.moving.update(mean.detach(), self.rho_decay) + mean - mean.detach()
        return self.statistic("rho_hat", mean)

    def squared_weights(self) -> Tensor:
        """Σ w² over all weights, without biases: 0-D. By name, since a stacked bias has two dimensions."""
        return torch.stack([p.square().sum() for name, p in self.named_parameters() if name.endswith("weight")]).sum()

    def batch_statistics(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        rho_hat = {"rho_hat": self.encode(x, y).mean(0)} if self.config.penalty == "kl" else {}
        return {**super().batch_statistics(x, y), **rho_hat}

    def diagnostics(self, latents: dict[str, Tensor]) -> dict[str, Tensor]:
        code = latents["code"]  # (N, D)
        activation = code.mean(0)
        dead = (code.amax(0) - code.amin(0)) < DEAD_RANGE
        return {
            "mean_activation": activation.mean(),
            "dead_units": dead.sum(),
            "dead_share": dead.float().mean(),
            "l0": (code.abs() > L0_THRESHOLD).sum(1).float().mean(),
            "activation_per_unit": activation,
            "code": code.flatten(),
        }

    def findings(self, terms: Mapping[str, float], diagnostics: Mapping[str, Tensor]) -> list[str]:
        dead, units = int(diagnostics["dead_units"]), self.code_shape[0]
        if 2 * dead < units:
            return []
        return [f"{dead} of {units} units are dead: they answer every image alike; {self._less_sparse()}"]

    def after_collapse(self) -> str:
        return self._less_sparse()

    def _less_sparse(self) -> str:
        """What to try against too much sparsity."""
        if self.config.penalty == "topk":
            aux = "model.k_aux, " if self.config.k_aux is None else ""
            return f"try {aux}a larger model.k than {self.config.k}, or a smaller model.latent_dim"
        more_rho = " or a larger model.rho" if self.config.penalty == "kl" else ", or a smaller model.latent_dim"
        return f"try a smaller model.sparsity_weight than {self.config.sparsity_weight:g}{more_rho}"


class MovingAverage(nn.Module):
    """Of values that come batch by batch. A module of its own: its state is saved, and is no hparam."""

    def __init__(self, start: Tensor):
        super().__init__()
        self.register_buffer("value", start)

    def update(self, new: Tensor, decay: Tensor) -> Tensor:
        """In place, decay · value + (1 − decay) · new. Returns a copy, which a later update leaves alone."""
        self.value.copy_(new + decay * (self.value - new))
        return self.value.clone()


def top_k(code: Tensor, k: int) -> Tensor:
    """code with all but the k largest of each row set to 0 (Makhzani & Frey 2013, eq. 1). (B, D) -> (B, D).

    By index: of activations that are equal, as many are in bf16, no more than k are kept."""
    kept = code.topk(k, dim=1)
    return torch.zeros_like(code).scatter(1, kept.indices, kept.values)
