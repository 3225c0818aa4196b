"""DIP-VAE-II's penalties against numpy, and what they do."""

import numpy as np
import pytest
import torch

from aetrain.device import Precision
from aetrain.evaluation.terms import evaluate
from aetrain.models.dip_vae import aggregate_covariance
from tests.conftest import build, unlabelled


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_covariance_and_penalties_are_numpys(batch, images, float64):
    net = build("model=dip_vae", "model.latent_dim=5", "model.lambda_od=3", "model.lambda_d=7", "net.hidden=[30]")
    x = images[:batch].double()
    with torch.no_grad():
        out = net(x)
        mu, logvar = (part.numpy() for part in net.posterior(x))
    expected = np.atleast_2d(np.cov(mu.T, bias=True)) + np.diag(np.exp(logvar).mean(0))
    np.testing.assert_allclose(aggregate_covariance(torch.tensor(mu), torch.tensor(logvar)), expected, atol=1e-12)
    off_diagonal = sum(expected[i, j] ** 2 for i in range(5) for j in range(5) if i != j)
    diagonal = sum((expected[i, i] - 1) ** 2 for i in range(5))
    assert out["off_diagonal"].tolist() == pytest.approx([off_diagonal] * batch)
    assert out["diagonal"].tolist() == pytest.approx([diagonal] * batch)
    torch.testing.assert_close(out["loss"], out["nelbo"] + 3 * off_diagonal + 7 * diagonal)


def test_the_covariance_is_that_of_draws_of_z(float64):
    torch.manual_seed(0)
    mu, logvar = torch.randn(50, 3) @ torch.randn(3, 3), torch.randn(50, 3)
    z = mu + torch.exp(0.5 * logvar) * torch.randn(4000, 50, 3)
    found = torch.cov(z.flatten(0, 1).T)
    torch.testing.assert_close(found, aggregate_covariance(mu, logvar), rtol=0.05, atol=0.05)


def test_codes_of_covariance_one_cost_nothing(float64):
    """Means of variance 1 − v in independent dimensions, posteriors of variance v."""
    signs = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    covariance = aggregate_covariance(0.75**0.5 * signs, torch.full((4, 2), 0.25).log())
    torch.testing.assert_close(covariance, torch.eye(2))


def test_in_evaluation_they_are_of_the_split_not_of_its_batches(images):
    net = build("model=dip_vae", "net.hidden=[30]").eval()
    raw = (images * 255).to(torch.uint8)
    found = evaluate(net, unlabelled(raw), 7, 0, Precision.of("fp32", torch.device("cpu"))).terms
    with torch.no_grad():
        expected = net.pairwise(net.paired(raw / 255))
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value[0]), rel=1e-5)


def test_bf16_leaves_the_covariance_in_float32(images):
    net = build("model=dip_vae", "net.hidden=[30]")
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        mu, logvar = net.posterior(images)
        found = aggregate_covariance(mu, logvar)
    torch.testing.assert_close(found, aggregate_covariance(mu, logvar), rtol=1e-6, atol=1e-7)
