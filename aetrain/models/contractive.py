"""Contractive autoencoder (Rifai et al. 2011)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor

from aetrain.models.autoencoder import Autoencoder
from aetrain.nets.activations import ACTIVATIONS, SLOPES, at_least_float32
from aetrain.nets.mlp import MLPEncoder

ROWS_AT_ONCE = 2048  # rows of Jacobians that one batched backward pass computes: bounds its memory


class Contractive(Autoencoder):
    """L(x) = recon + contraction_weight · ‖∂encode(x)/∂x‖²_F.

    estimator=exact is the norm itself: from the weights and slopes for linear and MLP encoders, row by row for
    convolutions. estimator=hutchinson is unbiased, from `probes` random directions. auto is exact, but for
    convolutions in training. Tied weights by default: otherwise the norm vanishes by shrinking the encoder and
    growing the decoder.
    """

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        return {**self.compare(x, self.draw_code(x, y), y), "contraction": self.contraction(x)}

    def weights(self) -> dict[str, Tensor | float]:
        return {"recon": 1.0, "contraction": self.contraction_weight}

    def after_collapse(self) -> str:
        return f"try a smaller model.contraction_weight than {self.config.contraction_weight:g}"

    def contraction(self, x: Tensor) -> Tensor:
        """‖∂encode(x)/∂x‖²_F per image, or its estimate. x: (B, C, H, W) -> (B,)."""
        dense = isinstance(self.encoder, MLPEncoder)
        estimator = self.config.estimator
        if estimator == "hutchinson" or (estimator == "auto" and not dense and self.training):
            signs = [torch.where(self.noise.rand_like(x) < 0.5, -1.0, 1.0).to(x) for _ in range(self.config.probes)]
            return hutchinson(self.encode, x, signs)
        if dense and len(self.encoder.layers) == 1:
            # Slopes in bf16 would put the norm up to 0.2 % off; in float32 one layer costs little.
            with torch.autocast(x.device.type, enabled=False):
                return mlp_squared_norm(self.encoder, self.config.code_activation, x)
        if dense:
            return mlp_squared_norm(self.encoder, self.config.code_activation, x)
        return jacobian_squared_norm(self.encode, x)


def mlp_squared_norm(encoder: MLPEncoder, code_activation: str, x: Tensor) -> Tensor:
    """‖∂code/∂x‖²_F per image, exact. x: (B, C, H, W) -> (B,).

    The Jacobian is S_L W_L … S_1 W_1, S_l the diagonal of slopes at layer l. One layer: Σ_j s_j² ‖W_j‖² (Rifai et al.
    2011, for the sigmoid). More: with M = S_L W_L … S_1, the norm is Σ (M G) ∘ M for G = W_1 W_1ᵀ, which all images
    share: the Jacobian itself, D rows of as many numbers as pixels for each image, is never formed.
    """
    layers = list(encoder.layers)
    names = [encoder.activation] * (len(layers) - 1) + [code_activation]
    h, slopes = x.flatten(1), []
    for layer, name in zip(layers, names, strict=True):
        h = at_least_float32(layer(h))
        slopes.append(SLOPES[name](h))  # (B, units)
        h = ACTIVATIONS[name](h)
    first = layers[0].weight  # (units, pixels)
    if len(layers) == 1:
        return slopes[0].square() @ first.square().sum(1)
    m = slopes[-1].unsqueeze(2) * layers[-1].weight  # (B, D, units of the layer below)
    for layer, slope in zip(reversed(layers[1:-1]), reversed(slopes[1:-1]), strict=True):
        m = (m * slope.unsqueeze(1)) @ layer.weight
    m = m * slopes[0].unsqueeze(1)
    if first.shape[0] > first.shape[1]:
        return at_least_float32(m @ first).square().sum((1, 2))
    return (at_least_float32(m @ (first @ first.T)) * m).sum((1, 2))


def hutchinson(encode: Callable[[Tensor], Tensor], x: Tensor, signs: Sequence[Tensor]) -> Tensor:
    """An unbiased estimate of ‖∂encode(x)/∂x‖²_F per image: the mean of ‖J v‖² over vectors v of random signs
    (Hutchinson 1989), one forward-mode pass each. x and every v: (B, C, H, W) -> (B,)."""
    with nullcontext() if torch.compiler.is_compiling() else _quiet_forward_mode():
        pushed = [torch.func.jvp(encode, (x,), (v,))[1] for v in signs]  # each (B, D)
    return torch.stack([p.square().sum(1) for p in pushed]).mean(0)


@contextmanager
def _quiet_forward_mode() -> Iterator[None]:
    """torch's forward mode loads, on first use, what torch itself has deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit\.", category=FutureWarning)
        yield


def jacobian_squared_norm(encode: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """‖∂encode(x)/∂x‖²_F per image, exact for any encoder that treats the images of a batch apart: one backward pass
    per unit of the code, many of them batched. x: (B, C, H, W) -> (B,)."""
    code, pullback = torch.func.vjp(encode, x)
    units = torch.eye(code.shape[1], dtype=code.dtype, device=code.device)  # (D, D)

    def row(unit: Tensor) -> Tensor:  # (D,) -> ‖∂code_unit/∂x‖² per image, (B,)
        return pullback(unit.expand_as(code))[0].square().flatten(1).sum(1)

    return torch.func.vmap(row, chunk_size=max(1, ROWS_AT_ONCE // len(x)))(units).sum(0)
