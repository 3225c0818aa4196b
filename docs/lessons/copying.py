"""Without a bottleneck an autoencoder need learn nothing: with as many code units as pixels the identity is the best of
all, for noise as well as for digits. To a denoising one the identity is no use."""

from pathlib import Path

import torch
from torch import Tensor

import aetrain
from aetrain import models
from aetrain.corruption import corrupted
from aetrain.data.load import load
from aetrain.data.split import Splits
from aetrain.losses import squared_error
from aetrain.models import Autoencoder
from aetrain.noise import Noise
from aetrain.pictures.grids import labelled

LEVEL = 0.5  # of the pixels are masked
N = 100  # test images


def _config():
    return aetrain.config("model=dae", "net=linear", "model.latent_dim=784", "model.likelihood=squared_error",
                          "model.output=identity", "model.corruption=independent_masking",
                          f"model.corruption_level={LEVEL}", "data.limit=5000")  # fmt: skip


@torch.no_grad()
def linear(splits: Splits, weight: Tensor, bias: Tensor) -> Autoencoder:
    """An autoencoder whose code is the image itself, decoded to weight · code + bias: float64."""
    config = _config()
    model = models.build(config.model, config.net, config.prior, splits.facts()).double()
    (encoder,), (decoder,) = model.encoder.layers, model.decoder.layers
    encoder.weight.copy_(torch.eye(len(weight)))
    encoder.bias.zero_()
    decoder.weight.copy_(weight)
    decoder.bias.copy_(bias)
    return model


def identity(splits: Splits) -> Autoencoder:
    return linear(splits, torch.eye(784), torch.zeros(784))


def denoiser(splits: Splits) -> Autoencoder:
    """The linear map that mends masked training images best, in closed form (Chen et al. 2012, marginalized denoising
    autoencoders): with each pixel kept with probability k and S = E[x xᵀ], E[x̃ x̃ᵀ] is k² S, but k S on the diagonal,
    and E[x x̃ᵀ] is k S. A ridge is for pixels that are always black."""
    kept, x = 1 - LEVEL, splits.train.first(len(splits.train)).x.double().flatten(1)
    x = torch.cat([x, torch.ones(len(x), 1)], 1)  # the bias: a value that is never masked
    keep = torch.full((785,), kept, dtype=torch.float64)
    keep[-1] = 1
    s = x.T @ x / len(x)
    of_corrupted = s * torch.outer(keep, keep)
    of_corrupted.diagonal().copy_(s.diagonal() * keep)
    of_corrupted.diagonal().add_(1e-3)
    map_ = torch.linalg.solve(of_corrupted, (s * keep)[:-1].T).T  # (784, 785)
    return linear(splits, map_[:, :-1], map_[:, -1])


@torch.no_grad()
def results() -> tuple[dict[str, float], Tensor]:
    """Squared errors per image, and rows of the images: (6, 10, 1, 28, 28)."""
    splits = load(_config().data, torch.device("cpu"))
    x = splits.test.first(N).x.double()
    noise = Noise()
    with noise.fixed(0):
        static = noise.rand_like(x)
        masked = corrupted(x, "independent_masking", torch.tensor(LEVEL), noise)
    copy, mend = identity(splits), denoiser(splits)
    pairs = {
        "digits, copied": (x, copy.reconstruct(x)),
        "noise, copied": (static, copy.reconstruct(static)),
        "masked digits, copied": (x, copy.reconstruct(masked)),
        "masked digits, mended": (x, mend.reconstruct(masked)),
    }
    rows = [x, pairs["digits, copied"][1], static, pairs["noise, copied"][1], masked, pairs["masked digits, mended"][1]]
    errors = {name: float(squared_error(*pair).mean()) for name, pair in pairs.items()}
    return errors, torch.stack([row[:10] for row in rows])


if __name__ == "__main__":
    errors, rows = results()
    for name, error in errors.items():
        print(f"{name:21}  {error:.4g}")
    kinds = ["digits", "copied", "noise", "copied", "masked", "mended"]
    Path("copying.png").write_bytes(labelled("copying", rows, "", kinds).png)
