"""One hidden unit is enough to memorise: an autoencoder 784-100-1-100-784 whose code is an index into its training
images. Its weights are written down, not trained."""

from pathlib import Path

import torch
from torch import Tensor

import aetrain
from aetrain import models
from aetrain.data.facts import Facts
from aetrain.data.load import load
from aetrain.losses import squared_error
from aetrain.models import Autoencoder
from aetrain.pictures.grids import labelled

N = 100  # training images


def images() -> tuple[Tensor, Tensor]:
    """The training images, and as many new ones: (100, 1, 28, 28), float64."""
    splits = load(_config().data, torch.device("cpu"))
    return splits.train.first(N).x.double(), splits.test.first(N).x.double()


def _config():
    return aetrain.config("model=ae", "model.latent_dim=1", f"net.hidden=[{N}]", "net.activation=relu",
                          "model.likelihood=squared_error", "model.output=identity",
                          f"data.limit={2 * N}", f"data.val_size={N}")  # fmt: skip


@torch.no_grad()
def memorising(x: Tensor) -> Autoencoder:
    """The encoder is a random direction, on which all images fall on different places. The decoder is a polygon
    through the images in the order of their places: x̂(z) = x₁ + Σᵢ (slopeᵢ − slopeᵢ₋₁) · relu(z − zᵢ), with
    slopeᵢ = (xᵢ₊₁ − xᵢ) / (zᵢ₊₁ − zᵢ) and a last slope of 0, a hidden unit for each image. x: (N, C, H, W)."""
    config = _config()
    model = models.build(
        config.model, config.net, config.prior, Facts(tuple(x.shape[1:]), len(x), x.mean(0), 0)
    ).double()
    direction = torch.randn(x[0].numel(), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    first, code = model.encoder.layers
    for layer in (first, code, *model.decoder.layers):
        layer.weight.zero_()
        layer.bias.zero_()
    first.weight[0], first.weight[1] = direction, -direction
    code.weight[0, 0], code.weight[0, 1] = 1, -1  # relu(w · x) − relu(−w · x) = w · x
    place, order = model.encode(x).squeeze(1).sort()
    points = x.flatten(1)[order]
    slopes = (points[1:] - points[:-1]) / (place[1:] - place[:-1]).unsqueeze(1)
    slopes = torch.cat([slopes, torch.zeros_like(slopes[:1])])
    index, pixels = model.decoder.layers
    index.weight.fill_(1)
    index.bias.copy_(-place)
    pixels.weight.copy_(torch.diff(slopes, dim=0, prepend=torch.zeros_like(slopes[:1])).T)
    pixels.bias.copy_(points[0])
    return model


@torch.no_grad()
def errors(model: Autoencoder, train: Tensor, new: Tensor) -> dict[str, float]:
    """Squared error per image: of the training images, of new ones, and of the mean training image as an answer to
    every new one."""
    return {
        "train": float(squared_error(train, model.reconstruct(train)).mean()),
        "new": float(squared_error(new, model.reconstruct(new)).mean()),
        "mean_image": float(squared_error(new, train.mean(0, keepdim=True).expand_as(new)).mean()),
    }


if __name__ == "__main__":
    train, new = images()
    model = memorising(train)
    for name, error in errors(model, train, new).items():
        print(f"{name:10} {error:.3g}")
    with torch.no_grad():
        rows = [train[:10], model.reconstruct(train[:10]), new[:10], model.reconstruct(new[:10])]
    kinds = ["training", "reconstruction", "new", "reconstruction"]
    Path("memorising.png").write_bytes(labelled("memorising", torch.stack(rows), "", kinds).png)
