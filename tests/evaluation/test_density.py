"""Densities fitted to codes: their moments and their integral."""

import math

import pytest
import torch

from aetrain.evaluation.density import gaussian, gaussian_mixture


@pytest.fixture(scope="module")
def codes():
    """Two clusters, the second number tied to the first, the third dead."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(1000, 3, generator=generator)
    z[:, 0] += torch.where(torch.arange(1000) % 4 == 0, 8.0, -8.0)
    z[:, 1] += 0.5 * z[:, 0]
    z[:, 2] = 0.25
    return z


def test_samples_of_the_gaussian_have_the_moments_of_the_codes(codes):
    drawn = gaussian(codes).sample(100_000, seed=1)
    torch.testing.assert_close(drawn.mean(0).float(), codes.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(drawn.T.cov().float(), codes.T.cov(), rtol=0.02, atol=0.05)
    assert drawn[:, 2].std() < 0.02
    assert torch.equal(drawn[:10], gaussian(codes).sample(100_000, seed=1)[:10])
    assert not torch.equal(drawn[:10], gaussian(codes).sample(100_000, seed=2)[:10])


def test_mixture_finds_both_clusters(codes):
    fitted = gaussian_mixture(codes, seed=0, components=2)
    assert sorted(fitted.weights.tolist()) == pytest.approx([0.25, 0.75], abs=1e-3)
    drawn = fitted.sample(4000, seed=0)
    assert ((drawn[:, 0] > 0).double().mean() - 0.25).abs() < 0.03
    assert (drawn[:, 0].abs() < 3).double().mean() < 1e-3  # nothing between them, where the one Gaussian is densest
    assert fitted.log_prob(codes[:100]).mean() > gaussian(codes).log_prob(codes[:100]).mean() + 1


def test_log_prob_and_distance_of_a_known_gaussian():
    z = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)  # variances 2 and 1/2
    fitted = gaussian(z)
    point = torch.tensor([[2.0, 1.0]])
    assert float(fitted.distance(point)) == pytest.approx(math.sqrt(4 / 2 + 1 / 0.5), rel=1e-5)
    assert float(fitted.log_prob(point)) == pytest.approx(-2 - math.log(2 * math.pi), rel=1e-5)  # determinant 1


def test_a_density_integrates_to_one(codes):
    fitted = gaussian_mixture(codes[:, :1], seed=0, components=3)
    grid = torch.linspace(-30, 30, 6001, dtype=torch.float64)[:, None]
    assert float(fitted.log_prob(grid).exp().sum() * 0.01) == pytest.approx(1, abs=1e-6)


def test_fewer_codes_than_components_or_dimensions():
    assert len(gaussian_mixture(torch.eye(3), seed=0, components=10).weights) == 3
    assert gaussian(torch.randn(4, 9)).sample(5, seed=0).isfinite().all()
