"""Pages of models, without a run."""

from __future__ import annotations

import time
from pathlib import Path

import torch
import torch.nn.functional as F

from aetrain.data.split import Split
from aetrain.evaluation.dimensions import dimensions
from aetrain.explorer.contents import Images, Told, contents
from aetrain.explorer.images import Shown, shown
from aetrain.explorer.networks import networks, precision
from aetrain.explorer.page import page
from aetrain.tasks.explore import spread_of
from tests.conftest import build, unlabelled


def lively(*words: str, image_shape: tuple[int, int, int]):
    """An untrained model whose code and picture answer its input as a trained one's do."""
    model = build(*words, image_shape=image_shape).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
        if hasattr(model, "label_images"):  # they begin at 0
            model.label_images.normal_()
        if hasattr(model.prior, "pseudo_inputs"):  # all begin at one image
            model.prior.pseudo_inputs.normal_(0.5, 0.5)
    return model


def pixels(n: int, image_shape: tuple[int, int, int]) -> torch.Tensor:
    """Black and white in large patches, some noise upon them: bytes."""
    generator = torch.Generator().manual_seed(2)
    channels, height, width = image_shape
    patches = (torch.rand(n, channels, 3, 3, generator=generator) < 0.5).float()
    noise = 60 * torch.rand(n, *image_shape, generator=generator)
    return (195 * F.interpolate(patches, (height, width)) + noise).to(torch.uint8)


@torch.no_grad()
def written(path: Path, *models, images: torch.Tensor, labels: torch.Tensor | None = None, **changed) -> Path:
    """The page of models on images (N, C, H, W), bytes. labels: (N,), of images of several classes. changed: of what is
    told."""
    split = unlabelled(images) if labels is None else Split(images, labels)
    kept = shown(split, len(images), 6_000_000)
    about = changed.pop("about", ["a model"])
    told = {"names": split.names(kept.index), "classes": ("a",), "split": "test"}
    told |= {key: changed.pop(key) for key in list(changed) if key in told}
    found = [_told(model, f"model {i}", split, kept, changed) for i, model in enumerate(models)]
    values, packed = contents(Images(kept, **told), found)
    path.write_text(page("a model", about, values, packed), encoding="utf-8")
    return path


def _told(model, name: str, split: Split, kept: Shown, changed: dict) -> Told:
    codes = model.encode(kept.x, kept.y)
    steps = networks(model)
    told = {
        "name": name, "model": model, "networks": steps, "dtype": precision(model, steps, kept.x, codes, kept.y),
        "codes": codes, "known": dimensions(model, split), "terms": {"recon": 1.5}, "terms_of": "test split",
        "scores": model.reconstruction(kept.x, codes, kept.y).double(),
        "spread": spread_of(model, kept.x), "config": {"seed": 0},
    } | changed  # fmt: skip
    return Told(**told)


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
