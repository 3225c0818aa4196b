"""Contractive autoencoder (Rifai et al. 2011)."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain import losses
from aetrain.models.autoencoder import Autoencoder


class Contractive(Autoencoder):
    """L(x) = recon + contraction_weight · ‖∂encode(x)/∂x‖²_F.

    The squared Frobenius norm is exact: in closed form where the encoder is one sigmoid layer, else row by row of the
    Jacobian. Tied weights by default: otherwise it vanishes by shrinking the encoder and growing the decoder.
    """

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        code = self.encode(x)
        return {"recon": self.reconstruction(x, code), "contraction": self.contraction(x, code)}

    def weights(self) -> dict[str, Tensor | float]:
        return {"recon": 1.0, "contraction": self.contraction_weight}

    def contraction(self, x: Tensor, code: Tensor) -> Tensor:
        """‖∂code/∂x‖²_F per image. x: (B, C, H, W), code: (B, D) -> (B,)."""
        if self.config.arch == "linear" and self.config.code_activation == "sigmoid":
            return losses.sigmoid_layer_contraction(code, self.encoder.layers[0].weight)
        return jacobian_squared_norm(self.encode, x)


def jacobian_squared_norm(encode, x: Tensor) -> Tensor:
    """‖∂encode(x)/∂x‖²_F per image, exact for any encoder that treats the images of a batch apart: one backward pass
    per unit of the code, all of them batched. x: (B, C, H, W) -> (B,)."""
    code, pullback = torch.func.vjp(encode, x)
    units = torch.eye(code.shape[1], dtype=code.dtype, device=code.device)  # (D, D)

    def row(unit: Tensor) -> Tensor:  # (D,) -> ‖∂code_unit/∂x‖² per image, (B,)
        return pullback(unit.expand_as(code))[0].square().flatten(1).sum(1)

    return torch.func.vmap(row)(units).sum(0)
