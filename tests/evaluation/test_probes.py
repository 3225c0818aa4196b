"""Probes on codes of which it is known what they hold."""

import pytest
import torch

from aetrain.data.split import Split
from aetrain.evaluation.codes import Codes, codes
from aetrain.evaluation.probes import linear_probe_accuracy, pca, probes
from tests.conftest import build


def gaussians(n, seed, spread=1.0):
    """Two classes at −2 and 2 of the first of three numbers, with a standard deviation; the third number never
    changes."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    z = torch.randn(n, 3, generator=generator) * spread
    z[:, 0] += 4 * y - 2
    z[:, 2] = 7
    return Codes(z, y)


def test_linear_probe_reaches_the_best_error_there_is():
    accuracy = linear_probe_accuracy(gaussians(2000, 0, spread=2.0), gaussians(20_000, 1, spread=2.0))
    assert accuracy == pytest.approx(0.8413, abs=0.01)  # Φ(1)


def test_linear_probe_does_not_depend_on_the_scale_of_the_code():
    train, test = gaussians(500, 0), gaussians(500, 1)
    scale = torch.tensor([1e-4, 1e3, 1.0])
    scaled = [Codes(part.z * scale + 50, part.y) for part in (train, test)]
    assert linear_probe_accuracy(*scaled) == pytest.approx(linear_probe_accuracy(train, test), abs=0.005)


def test_a_linear_probe_is_linear():
    """Exclusive or of two signs."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(4000, 2, generator=generator)
    y = (z[:, 0] * z[:, 1] > 0).long()
    assert linear_probe_accuracy(Codes(z[:2000], y[:2000]), Codes(z[2000:], y[2000:])) < 0.6


def test_pca_keeps_the_distances_of_what_lies_in_a_plane():
    generator = torch.Generator().manual_seed(0)
    plane = torch.randn(30, 2, generator=generator) @ torch.randn(2, 9, generator=generator) + 3
    train, test = pca(plane[:20], plane[20:], 2)
    assert train.shape == (20, 2)
    torch.testing.assert_close(torch.cdist(train, test), torch.cdist(plane[:20], plane[20:]), rtol=1e-3, atol=1e-4)


def test_probes_of_a_model_stand_beside_pixels_and_pca():
    """An untrained encoder's codes hold less than the pixels of which they are made."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(400) % 4
    images = torch.rand(400, 1, 28, 28, generator=generator)
    images[torch.arange(400), :, y] = 1  # a bright row says the class
    train, test = (Split(images[part], y[part]) for part in (slice(0, 200), slice(200, 400)))
    net = build("model=vae", "model.latent_dim=1")
    found = probes(net, train, test)
    assert found.keys() == {"codes", "pixels", "pca"}
    assert found["pixels"]["linear_probe"] == 1 and found["pixels"]["knn"] > 0.9
    assert found["codes"]["linear_probe"] < 0.9
    assert probes(net, Split(train.images, torch.full((200,), -1)), test) == {}


def test_codes_are_means_and_do_not_depend_on_portions():
    net, images = build("model=vae"), torch.rand(30, 1, 28, 28)
    found = codes(net, Split(images, torch.arange(30)), most=20, at_once=7)
    torch.testing.assert_close(found.z, net.posterior(images[:20])[0])
    assert torch.equal(found.y, torch.arange(20)) and net.training
    assert codes(net, Split(images[:0], torch.arange(0))).z.shape == (0, 20)
