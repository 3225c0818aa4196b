"""data=patches: small squares cut at random from scikit-learn's two photographs, 427x640 pixels.

Training patches come from the left four fifths of a photograph, those of validation and test from a tenth each: no
pixel is in two splits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aetrain.config.schema.data import Patches
from aetrain.data.card import Card
from aetrain.data.sklearn import file_of
from aetrain.noise import mix

if TYPE_CHECKING:
    from torch import Tensor

    from aetrain.data.split import Split

PHOTOGRAPHS = ("china.jpg", "flower.jpg")
COLUMNS = {"train": (0, 512), "val": (512, 576), "test": (576, 640)}
FLAT = 10 / 255  # added to a standard deviation: a patch of sky stays a patch of sky
CUTOFF = 0.4  # cycles per pixel, above which whitening takes away what is noise (Olshausen & Field 1997)


def card(config: Patches) -> Card:
    n = _sizes(config)
    shape = (config.channels, config.size, config.size)
    bytes_per_value, scale = (1, 255.0) if config.contrast == "raw" else (4, 1.0)
    return Card(shape, n["train"], n["test"], n_classes=0, val=n["val"], bytes_per_value=bytes_per_value, scale=scale)


def _sizes(config: Patches) -> dict[str, int]:
    return {"train": config.patches, "val": config.patches // 10, "test": config.patches // 10}


def load(config: Patches) -> dict[str, Split]:
    import numpy as np
    import torch
    from PIL import Image

    from aetrain.data.split import UNLABELLED, Split

    mode, side = ("L", "RGB")[config.channels == 3], config.size
    photographs = np.stack([np.asarray(Image.open(file_of("images", name)).convert(mode)) for name in PHOTOGRAPHS])
    images = torch.from_numpy(photographs).reshape(2, 427, 640, -1).permute(0, 3, 1, 2)  # (2, C, H, W)
    parts = {}
    for part, n in _sizes(config).items():
        left, right = COLUMNS[part]
        strip = images[..., left:right]
        if config.contrast == "whitened":
            strip = _whitened(strip / 255)
        # (2, rows, columns, C, side, side): every place that a patch can have, without a copy
        windows = strip.unfold(2, side, 1).unfold(3, side, 1).permute(0, 2, 3, 1, 4, 5)
        generator = torch.Generator().manual_seed(mix("patches", part))
        which, y, x = ((torch.rand(n, generator=generator) * count).long() for count in windows.shape[:3])
        patches = windows[which, y, x]
        if config.contrast == "normalized":
            unit = patches / 255
            std, mean = torch.std_mean(unit, dim=(1, 2, 3), keepdim=True, correction=0)
            patches = (0.5 + (unit - mean) / (std + FLAT) / 6).clamp(0, 1)
        elif config.contrast == "whitened":
            patches = (0.5 + patches / 6).clamp(0, 1)
        parts[part] = Split(patches.contiguous(), torch.full((n,), UNLABELLED))
    return parts


def _whitened(images: Tensor) -> Tensor:
    """(N, C, H, W) -> the same with a flat spectrum, mean 0 and standard deviation 1: the amplitudes of natural images
    fall as 1 / f, and are multiplied by f · exp(−(f / CUTOFF)⁴) (Olshausen & Field 1997)."""
    import torch

    height, width = images.shape[-2:]
    # Mirrored at its borders, a picture has no edge where it begins again.
    mirrored = torch.cat([images, images.flip(-1)], dim=-1)
    mirrored = torch.cat([mirrored, mirrored.flip(-2)], dim=-2)
    rows, columns = torch.fft.fftfreq(2 * height), torch.fft.rfftfreq(2 * width)
    f = (rows[:, None].square() + columns.square()).sqrt()
    flat = torch.fft.irfft2(torch.fft.rfft2(mirrored) * f * torch.exp(-((f / CUTOFF) ** 4)), s=mirrored.shape[-2:])
    flat = flat[..., :height, :width]
    return flat / flat.std(dim=(1, 2, 3), keepdim=True)
