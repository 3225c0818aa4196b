"""The real digits, patches of photographs, and points of the plane."""

import json
import math

import pytest
import torch

from aetrain.data import digits, patches, points
from aetrain.data.card import card, sizes
from aetrain.data.load import load
from tests.conftest import compose

CPU = torch.device("cpu")


def test_the_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    part = digits.load(compose("data=digits").data)["train"]
    theirs = load_digits()
    assert torch.equal((part.images[:, 0] * (16 / 255)).round().double(), torch.from_numpy(theirs.images))
    assert part.labels.tolist() == theirs.target.tolist()
    assert tuple(part.labels.bincount().tolist()) == digits.COUNTS


def test_patches_of_different_splits_share_no_pixel():
    config = compose("data=patches", "data.patches=400", "data.size=16", "data.channels=3").data
    assert sizes(config) == (400, 40, 40)
    parts = patches.load(config)
    assert card(config).image_shape == parts["train"].image_shape == (3, 16, 16)
    seen = {name: {patch.numpy().tobytes() for patch in part.images} for name, part in parts.items()}
    assert not seen["train"] & seen["test"] and not seen["val"] & seen["test"]
    assert parts["train"].images.float().std() > 20


def test_normalized_contrast():
    part = patches.load(compose("data=patches", "data.patches=200", "data.contrast=normalized").data)["train"]
    assert part.images.dtype == torch.float32 and 0 <= part.images.min() <= part.images.max() <= 1
    std, mean = torch.std_mean(part.images, dim=(1, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.full_like(mean, 0.5), atol=0.02, rtol=0)
    assert (std <= 1 / 6 + 1e-6).all() and std.max() > 0.14  # less where a patch is nearly flat


@pytest.mark.parametrize("name", ["moons", "circles", "spiral"])
def test_points_lie_on_their_curves(name):
    config = compose(f"data={name}", "data.noise=0").data
    part = points.load(config)["train"]
    assert card(config).image_shape == part.image_shape == (1, 1, 2)
    assert tuple(part.labels.bincount().tolist()) == card(config).counts["train"]
    x, y = ((part.images.flatten(1) - 0.5) * 4).unbind(1)
    first = part.labels == 0
    radius = {
        "moons": torch.where(first, torch.hypot(x + 0.5, y + 0.25), torch.hypot(x - 0.5, y - 0.25)),
        "circles": torch.hypot(x, y) * torch.where(first, 1, 2),
        "spiral": torch.ones_like(x),
    }[name]
    torch.testing.assert_close(radius, torch.ones_like(radius), atol=1e-5, rtol=0)
    again = points.load(config)["train"].images
    assert torch.equal(part.images, again)
    noisy = points.load(compose(f"data={name}", "data.noise=0.3").data)["train"].images
    assert noisy.min() >= 0 and noisy.max() <= 1 and ((noisy == 0) | (noisy == 1)).float().mean() < 0.01


@pytest.mark.parametrize("words", [["data=digits"], ["data=digits", "data.classes=[1,7]"], ["data=moons"],
                                   ["data=patches", "data.patches=200"]])  # fmt: skip
def test_they_train(aetrain, words):
    code, _out, err = aetrain(*words, "trainer.epochs=1", "device=cpu", "hydra.run.dir=run", "trainer.batch_size=64")
    assert code == 0, err
    assert math.isfinite(json.loads((aetrain.folder / "run" / "result.json").read_text())["metrics"]["test/loss"])


def test_two_classes_of_ten():
    config = compose("data=digits", "data.classes=[7,1]").data
    splits = load(config, CPU)
    total = sum(len(split) for split in (splits.train, splits.val, splits.test))
    assert total == digits.COUNTS[1] + digits.COUNTS[7] == card(config).train
    assert splits.n_classes == 2 and splits.classes == ("7", "1")
    ones = torch.cat([s.labels for s in (splits.train, splits.val, splits.test)]).sum()
    assert ones == digits.COUNTS[1]


def test_whitening_multiplies_by_the_frequency_and_takes_noise_away():
    def power(contrast):
        config = compose("data=patches", "data.patches=2000", "data.size=32", f"data.contrast={contrast}").data
        images = patches.load(config)["train"].images.float()
        images = images / 255 if contrast == "raw" else images
        window = torch.hann_window(32, periodic=False)
        images = (images - images.mean((2, 3), keepdim=True)) * window * window[:, None]
        spectrum = torch.fft.rfft2(images).abs().square().mean((0, 1))
        f = (torch.fft.fftfreq(32)[:, None].square() + torch.fft.rfftfreq(32).square()).sqrt()
        return [spectrum[(f >= low) & (f < low + 0.06)].mean().item() for low in (0.06, 0.16)]

    raw, whitened = power("raw"), power("whitened")
    low, high = 0.09, 0.19  # the middles of the bands, in cycles per pixel
    gain = (low / high) ** 2 * math.exp(-2 * ((low / 0.4) ** 4 - (high / 0.4) ** 4))
    assert whitened[0] / whitened[1] == pytest.approx(gain * raw[0] / raw[1], rel=0.2)
    part = patches.load(compose("data=patches", "data.contrast=whitened").data)["train"]
    std, mean = torch.std_mean(part.images)
    assert mean.item() == pytest.approx(0.5, abs=0.01) and std.item() == pytest.approx(1 / 6, rel=0.15)
