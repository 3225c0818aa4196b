"""How much like an image is another one? Pixels in [0, 1]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, SIGMA = 11, 1.5  # pixels
K1, K2 = 0.01, 0.03
SMALLEST = 3  # pixels, the side of a window in which there is any structure


def psnr(x: Tensor, x_hat: Tensor) -> Tensor:
    """Peak signal-to-noise ratio per image, −10 log₁₀ of the mean squared error over all pixels and channels, in dB;
    infinite for equal images. (B, C, H, W) each -> (B,)."""
    return -10 * torch.log10((x_hat - x).square().flatten(1).mean(1))


def has_ssim(image_shape: tuple[int, ...]) -> bool:
    """Whether images are large enough for structure: 3 pixels each way."""
    return min(image_shape[-2:]) >= SMALLEST


def ssim(x: Tensor, x_hat: Tensor) -> Tensor:
    """Structural similarity per image (Wang et al. 2004, eq. 13): the mean over all places, and over channels, of

        (2 μ_x μ_y + C₁)(2 σ_xy + C₂) / ((μ_x² + μ_y² + C₁)(σ_x² + σ_y² + C₂)),   C₁ = (K₁ L)², C₂ = (K₂ L)²,

    with L = 1, K₁ = 0.01, K₂ = 0.03 and the moments under a Gaussian window of 11x11 pixels, σ = 1.5, wherever it lies
    inside the image; the image is not reduced first. A side below 11 pixels has the largest odd window that fits, with
    the same σ. Raises a ValueError for images under 3 pixels. (B, C, H, W) each -> (B,), at most 1, in float64.
    """
    if not has_ssim(x.shape):
        raise ValueError(f"SSIM needs images of at least {SMALLEST}x{SMALLEST} pixels, these have {x.shape[-2:]}")
    x, y = x.double().flatten(0, 1), x_hat.double().flatten(0, 1)  # (B · C, H, W)
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = map(_blurred, (x, y, x * x, y * y, x * y))
    variances = mean_xx - mean_x.square() + mean_yy - mean_y.square()
    covariance = mean_xy - mean_x * mean_y
    c1, c2 = K1**2, K2**2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    likeness = likeness / ((mean_x.square() + mean_y.square() + c1) * (variances + c2))
    return likeness.mean((1, 2)).unflatten(0, (-1, x_hat.shape[1])).mean(1)


def _blurred(x: Tensor) -> Tensor:
    """Under the window, wherever it lies inside: (N, H, W) -> (N, H', W')."""
    down, across = (_window(side).to(x.device) for side in x.shape[1:])
    x = F.conv2d(x.unsqueeze(1), down.view(1, 1, -1, 1))
    return F.conv2d(x, across.view(1, 1, 1, -1)).squeeze(1)


def _window(side: int) -> Tensor:
    """The Gaussian of the largest odd size that fits, WINDOW at most; adds up to 1."""
    size = min(WINDOW, side - 1 + side % 2)
    place = torch.arange(size, dtype=torch.float64) - size // 2
    weights = torch.exp(-0.5 * (place / SIGMA).square())
    return weights / weights.sum()
