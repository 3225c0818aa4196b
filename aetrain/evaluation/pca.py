"""What linear autoencoders must find, in closed form and float64: PCA (Baldi & Hornik 1989) and probabilistic PCA
(Tipping & Bishop 1999), which a linear VAE is (Lucas et al. 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from aetrain import losses
from aetrain.data.split import Split
from aetrain.evaluation.decompose import eigh
from aetrain.models import Autoencoder

EXACT_UP_TO = 2000  # pixels; the time for more grows with their cube


@dataclass(frozen=True)
class PCA:
    """Of images with P pixels. mean: (P,), covariance: (P, P), values: (P,) descending, vectors: (P, P) columns."""

    mean: Tensor
    covariance: Tensor
    values: Tensor
    vectors: Tensor

    @classmethod
    def of(cls, split: Split, most: int | None = None) -> PCA:
        """Of all images of a split, or the first `most`; the covariance is divided by their number."""
        pixels, images = math.prod(split.image_shape), 0
        total = torch.zeros(pixels, dtype=torch.float64, device=split.device)
        products = torch.zeros(pixels, pixels, dtype=torch.float64, device=split.device)
        for part, _ in split.chunks(10_000, most):
            x = part.double().flatten(1)
            total += x.sum(0)
            products += x.T @ x
            images += len(x)
        mean = total / images
        covariance = products / images - torch.outer(mean, mean)
        values, vectors = eigh(covariance)
        return cls(mean, covariance, values.flip(0).clamp(min=0), vectors.flip(1))

    def minimum(self, k: int) -> float:
        """The least squared error per training image of a linear code of k units: the eigenvalues after the k-th."""
        return float(self.values[k:].sum())

    def noise(self, k: int) -> float:
        """σ² of probabilistic PCA: the mean of the discarded eigenvalues (Tipping & Bishop 1999, eq. 8)."""
        return float(self.values[k:].mean())

    def log_likelihood(self, k: int) -> float:
        """The highest mean log-likelihood of the training images in nats, that of probabilistic PCA with k units."""
        discarded = len(self.values) - k
        log_determinant = float(self.values[:k].log().sum()) + discarded * math.log(self.noise(k))
        return -0.5 * (len(self.values) * (math.log(2 * math.pi) + 1) + log_determinant)

    def angle(self, decoder: Tensor) -> float:
        """The largest principal angle, in degrees, between the decoder's columns and the leading k eigenvectors.
        decoder: (P, k)."""
        basis = torch.linalg.qr(decoder.double()).Q
        kept = self.vectors[:, : decoder.shape[1]]
        sine = torch.linalg.matrix_norm(basis - kept @ (kept.T @ basis), ord=2)
        return math.degrees(math.asin(min(1.0, float(sine))))


def principal(train: Split, k: int, most: int = 10_000) -> tuple[Tensor, Tensor]:
    """Mean image and leading eigenvectors of the first `most` images: (P,) and (P, k), float64. Of more than
    EXACT_UP_TO pixels approximately, from a fixed seed (Halko et al. 2011)."""
    pixels = math.prod(train.image_shape)
    if pixels <= EXACT_UP_TO:
        found = PCA.of(train, most)
        return found.mean, found.vectors[:, :k]
    x = torch.cat([part.flatten(1) for part, _ in train.chunks(1000, most)])
    with torch.random.fork_rng([train.device] if train.device.type == "cuda" else []):
        torch.manual_seed(0)
        vectors = torch.pca_lowrank(x, q=min(k + 10, *x.shape), niter=4)[2]
    return x.double().mean(0), vectors[:, :k].double()


def projected(x: Tensor, mean: Tensor, vectors: Tensor) -> Tensor:
    """What is left of images behind a code of k principal components: (B, C, H, W) -> the same. mean: (P,), vectors:
    (P, k)."""
    code = (x.double().flatten(1) - mean) @ vectors
    return (mean + code @ vectors.T).view_as(x).to(x)


def gaussian_log_likelihood(model: Autoencoder, sigma: float, data: PCA) -> float:
    """The exact mean log-likelihood, in nats, of a linear decoder with Gaussian noise: x ~ N(b, W Wᵀ + σ² I). `data`
    gives the mean and covariance of the images it is taken over."""
    layer = model.decoder.layers[0]
    weight, bias = layer.weight.detach().double(), layer.bias.detach().double()
    covariance = weight @ weight.T + sigma**2 * torch.eye(len(weight), dtype=torch.float64, device=weight.device)
    shift = data.mean - bias
    factor = torch.linalg.cholesky(covariance)
    spread = torch.cholesky_solve(data.covariance + torch.outer(shift, shift), factor).trace()
    log_determinant = 2 * factor.diagonal().log().sum()
    return -0.5 * float(len(weight) * math.log(2 * math.pi) + log_determinant + spread)


def linear_elbo(model: Autoencoder, sigma: float | Tensor, x: Tensor) -> Tensor:
    """The ELBO of a linear Gaussian VAE per image, its expectation over z in closed form, in nats. x: (B, C, H, W)."""
    mu, logvar = model.posterior(x)
    weight = model.decoder.layers[0].weight  # (P, D)
    spread = logvar.exp() @ weight.square().sum(0)  # E‖W (z − mu)‖²
    recon = losses.gaussian_nll(x, model.decoder(mu), sigma) + 0.5 * spread / sigma**2
    return -(recon + losses.gaussian_kl(mu, logvar).sum(1))


@torch.no_grad()
def place(model: Autoencoder, data: PCA) -> None:
    """Set a linear model's weights to the closed form that minimises its objective. An AE becomes PCA; a VAE with a
    Gaussian likelihood probabilistic PCA, W = U (Λ − σ² I)^½, whose posterior is diagonal in that basis:
    N(M⁻¹ Wᵀ (x − mean), σ² M⁻¹) with M = Wᵀ W + σ² I = Λ, so that no ELBO is looser than the likelihood."""
    (k,) = model.code_shape
    vectors, values = data.vectors[:, :k], data.values[:k]
    encoder, decoder = model.encoder.layers[0], model.decoder.layers[0]
    decoder.bias.copy_(data.mean)
    if model.prior is None:
        encoder.weight.copy_(vectors.T)
        encoder.bias.copy_(-vectors.T @ data.mean)
        decoder.weight.copy_(vectors)
        return
    sigma2 = data.noise(k)
    scale = (values - sigma2).sqrt()
    decoder.weight.copy_(vectors * scale)
    project = (vectors * (scale / values)).T  # M⁻¹ Wᵀ
    encoder.weight.zero_()
    encoder.weight[:k] = project.to(encoder.weight)
    encoder.bias[:k] = (-project @ data.mean).to(encoder.bias)
    encoder.bias[k:] = (sigma2 / values).log().to(encoder.bias)
