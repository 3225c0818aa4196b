"""VQ-VAE (van den Oord, Vinyals & Kavukcuoglu 2017)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from aetrain.models.autoencoder import Autoencoder
from aetrain.models.codebook import AveragedCodebook, Codebook
from aetrain.nets import build_decoder, build_encoder
from aetrain.nets.spatial import build_spatial_decoder, build_spatial_encoder

FEW_USED = 0.1  # share of the codebook under which the perplexity is worth a word


class VQVAE(Autoencoder):
    """J = recon + commitment_weight · commitment + codebook, with recon = −log p(x | z) in nats, z the code: at every
    position the vector of the codebook that is nearest to the encoder's output z_e (van den Oord et al. 2017, eq. 3).

    The decoder's gradient by z is handed on to z_e as it is (straight through). commitment = Σ ‖z_e − sg[z]‖² keeps the
    output near its code; codebook = Σ ‖sg[z_e] − z‖² moves the code to the output, where it is learned by a loss and
    not by averages. Both are sums over positions, in squared units of the code.

    nelbo = recon + P log K is the bound with the prior under which all K codes are equally likely at each of the P
    positions: the posterior is sure of one. What the codes of a split say is in `diagnostics`.

    A code is P vectors of D numbers, flattened: those of convolutions as (D, h, w), P = h · w. `decode` takes any
    numbers and rounds them to the codebook.
    """

    def __init__(self, config, net, facts):
        super().__init__(config, net, facts)
        kind = AveragedCodebook if config.codebook == "ema" else Codebook
        self.codebook = kind(config.codebook_size, config.latent_dim, self.noise)

    def networks(self, net) -> tuple[nn.Module, nn.Module]:
        shape, dim, positions = self.facts.image_shape, self.config.latent_dim, self.config.positions
        if positions is None:
            encoder = build_spatial_encoder(net, shape, dim)
            self.grid = tuple(encoder.feature_shape[1:])
            return encoder, build_spatial_decoder(net, dim, shape)
        self.grid = (positions,)
        return build_encoder(net, shape, dim * positions), build_decoder(net, dim * positions, shape)

    @property
    def code_shape(self) -> tuple[int, ...]:
        return (self.config.latent_dim * math.prod(self.grid),)

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        z_e = self.outputs(x, y)
        codes = self.codebook.nearest(z_e)  # (B, P)
        z = self.codebook.vectors[codes]
        terms = self.compare(x, _flat(z_e + (z - z_e).detach()), y)
        terms["commitment"] = _squared_distance(z_e, z.detach())
        if self.config.codebook == "loss":
            terms["codebook"] = _squared_distance(z_e.detach(), z)
        if self.training:
            z_e = z_e.detach().flatten(0, 1)
            self.codebook.follow(z_e, codes.flatten(), self.codebook_decay, self.restart_below)
        return {**terms, "nelbo": terms["recon"] + codes.shape[1] * math.log(self.config.codebook_size)}

    def weights(self) -> dict[str, Tensor | float]:
        weights = {"recon": 1.0, "commitment": self.commitment_weight}
        return {**weights, "codebook": 1.0} if self.config.codebook == "loss" else weights

    def outputs(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The encoder's, before they are rounded: (B, C, H, W) -> (B, P, D)."""
        return self._vectors(self.encoder_output(x, y))

    def indices(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Which vector of the codebook is nearest, at every position: (B, C, H, W) -> int64, (B, h, w), or (B, P) of
        networks without a grid."""
        return self.codebook.nearest(self.outputs(x, y)).unflatten(1, self.grid)

    def lookup(self, indices: Tensor) -> Tensor:
        """The code that `decode` takes, of what `indices` gives: (B, h, w) or (B, P) -> (B, *code_shape)."""
        return _flat(self.codebook.vectors[indices.flatten(1)])

    def encode(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.rounded(self.encoder_output(x, y))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return super().decode(self.rounded(z), y)

    def rounded(self, z: Tensor) -> Tensor:
        """Every vector replaced by the nearest of the codebook: (B, *code_shape) in the same form."""
        return self.lookup(self.codebook.nearest(self._vectors(z)))

    def _vectors(self, z: Tensor) -> Tensor:
        """(B, D · P) -> (B, P, D)."""
        return z.unflatten(1, (self.config.latent_dim, -1)).transpose(1, 2)

    def latents(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        return {"indices": self.indices(x, y).flatten(1)}

    def diagnostics(self, latents: dict[str, Tensor]) -> dict[str, Tensor]:
        """perplexity: e to the entropy of the codes' shares over images and positions, between 1 and K.
        rate: bits of an image's code, for each of its pixels and channels, where each position has a prior of its own:
        the codes' shares at this position, over the split. rate_bound: the same with the uniform prior, P log2 K."""
        size, pixels = self.config.codebook_size, math.prod(self.facts.image_shape)
        counts = occurrences(latents["indices"], size)  # (P, K)
        shares = counts.sum(0) / counts.sum()
        return {
            "perplexity": entropy(shares).exp(),
            "used_codes": (shares > 0).sum(),
            "rate": entropy(counts / counts[0].sum()).sum() / (math.log(2) * pixels),
            "rate_bound": shares.new_tensor(len(counts) * math.log2(size) / pixels),
            "code_shares": shares,
        }

    def findings(self, terms: Mapping[str, float], diagnostics: Mapping[str, Tensor]) -> list[str]:
        used, size = float(diagnostics["perplexity"]), self.config.codebook_size
        if used >= FEW_USED * size:
            return []
        return [
            f"the perplexity of the codes is {used:.3g} of {size}: most of the codebook is hardly used; a smaller "
            "model.codebook_size would do, or a larger model.restart_below spreads its use"
        ]

    def after_collapse(self) -> str:
        return "try a smaller optimizer.lr or model.commitment_weight, or another net.activation"


def occurrences(indices: Tensor, size: int) -> Tensor:
    """How often each code is at each position: (N, P) -> (P, size), floats."""
    positions = indices.shape[1]
    places = indices + size * torch.arange(positions, device=indices.device)
    counts = torch.zeros(positions * size, dtype=torch.int64, device=indices.device)
    counts.scatter_add_(0, places.flatten(), torch.ones_like(places.flatten()))
    return counts.view(positions, size).to(torch.get_default_dtype())


def entropy(shares: Tensor) -> Tensor:
    """In nats: (…, K) -> (…)."""
    return -torch.xlogy(shares, shares).sum(-1)


def _flat(z: Tensor) -> Tensor:
    """(B, P, D) -> (B, D · P)."""
    return z.transpose(1, 2).flatten(1)


def _squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """(B, P, D) each -> (B,)."""
    return (a - b).square().flatten(1).sum(1)
