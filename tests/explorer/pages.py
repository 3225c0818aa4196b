"""Pages of models, without a run."""

from __future__ import annotations

import time
from pathlib import Path

import torch
import torch.nn.functional as F

from aetrain.evaluation.dimensions import dimensions
from aetrain.explorer.contents import Told, contents
from aetrain.explorer.images import shown
from aetrain.explorer.networks import networks, precision
from aetrain.explorer.page import page
from tests.conftest import build, unlabelled


def lively(*words: str, image_shape: tuple[int, int, int]):
    """An untrained model whose code and picture answer its input as a trained one's do."""
    model = build(*words, image_shape=image_shape).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    return model


def pixels(n: int, image_shape: tuple[int, int, int]) -> torch.Tensor:
    """Black and white in large patches, some noise upon them: bytes."""
    generator = torch.Generator().manual_seed(2)
    channels, height, width = image_shape
    patches = (torch.rand(n, channels, 3, 3, generator=generator) < 0.5).float()
    noise = 60 * torch.rand(n, *image_shape, generator=generator)
    return (195 * F.interpolate(patches, (height, width)) + noise).to(torch.uint8)


@torch.no_grad()
def written(path: Path, model, images: torch.Tensor, **changed) -> Path:
    """The page of a model on images (N, C, H, W), bytes. changed: of what is told."""
    split = unlabelled(images)
    kept = shown(split, len(images), 6_000_000)
    codes = model.encode(kept.x)
    told = {
        "names": split.names(kept.index), "classes": ("a",), "split": "test", "codes": codes,
        "known": dimensions(model, split), "scores": model.reconstruction(kept.x, codes).double(),
        "sigma": float(model.sigma) if model.config.likelihood == "gaussian" else None, "terms": {"recon": 1.5},
        "config": {"seed": 0}, "about": ["a model"],
    } | changed  # fmt: skip
    found = networks(model)
    values, packed = contents(model, found, precision(model, found, kept.x, codes), kept, Told(**told))
    path.write_text(page("a model", told["about"], values, packed), encoding="utf-8")
    return path


def opened(browser, path: Path, width: int = 1280) -> None:
    """A page whose script has done its work."""
    browser.dark(False)
    browser.width(width, mobile=width < 500)
    browser.open(path)
    for _ in range(200):
        if browser.run("return document.documentElement.dataset.ready"):
            return
        time.sleep(0.02)
    raise AssertionError(browser.run("return document.body.innerText") + str(browser.log("browser")))
