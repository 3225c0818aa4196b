"""Every formula against its closed form, an independent implementation, or a sampled estimate."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from aetrain import losses
from aetrain.nets import activations


@pytest.fixture(autouse=True)
def _float64(float64):
    pass


# The background text's worked numbers, to the digits that it prints.
@pytest.mark.parametrize(("rho_hat", "printed"), [(0.866, 1.1363), (0.096, 0.0490), (0.11, 0.0343), (0.5, 0.1927)])
def test_bernoulli_kl_worked_numbers(rho_hat, printed):
    exact = 0.2 * math.log(0.2 / rho_hat) + 0.8 * math.log(0.8 / (1 - rho_hat))
    assert losses.bernoulli_kl(0.2, torch.tensor(rho_hat)).item() == pytest.approx(exact, rel=1e-12)
    assert exact == pytest.approx(printed, abs=2e-4)


def test_bernoulli_kl_is_zero_only_at_rho_and_finite_at_the_ends():
    grid = torch.linspace(0, 1, 101)
    kl = losses.bernoulli_kl(0.2, grid)
    assert torch.isfinite(kl).all()
    assert kl.argmin() == 20 and kl[20] == 0 and (kl[torch.arange(101) != 20] > 0).all()


def test_bernoulli_kl_pulls_a_nearly_silent_float32_unit_back():
    activation = torch.tensor([-20.0], dtype=torch.float32, requires_grad=True)  # rho_hat 2e-9, below float32's eps
    losses.bernoulli_kl(0.1, torch.sigmoid(activation)).sum().backward()
    assert activation.grad.item() == pytest.approx(-0.1, rel=1e-3)  # d KL / d activation = rho_hat − rho


def test_gaussian_vae_worked_numbers():
    # x = 2, q = N(1.5, 0.25), z = 1.6, decoder mean 1.6, sigma = 1
    x, mean = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 1.6)
    recon = losses.gaussian_nll(x, mean, 1.0)
    kl = losses.gaussian_kl(torch.tensor([[1.5]]), torch.tensor([[math.log(0.25)]])).sum(1)
    assert recon.item() == pytest.approx(0.5 * 0.4**2 + 0.5 * math.log(2 * math.pi), rel=1e-12)
    assert kl.item() == pytest.approx(0.5 * (2.25 + 0.25 - 1 - math.log(0.25)), rel=1e-12)
    assert [recon.item(), kl.item(), (recon + kl).item()] == pytest.approx([0.9989, 1.4431, 2.4420], abs=1e-4)


def test_likelihoods_equal_torch_distributions():
    torch.manual_seed(0)
    x, out = torch.rand(5, 1, 4, 3).round(), torch.randn(5, 1, 4, 3)
    bernoulli = Independent(Bernoulli(logits=out), 3)
    torch.testing.assert_close(losses.bernoulli_nll(x, out), -bernoulli.log_prob(x))
    gaussian = Independent(Normal(out, 0.3), 3)
    torch.testing.assert_close(losses.gaussian_nll(x, out, 0.3), -gaussian.log_prob(x))


def test_bernoulli_nll_of_grey_pixels_is_smallest_where_the_probability_is_the_pixel():
    x = torch.tensor(0.3).expand(1, 1, 1, 1)
    logits = torch.linspace(-3, 3, 601).reshape(-1, 1, 1, 1)
    best = losses.bernoulli_nll(x.expand_as(logits), logits).argmin()
    assert torch.sigmoid(logits[best]).item() == pytest.approx(0.3, abs=0.01)


def test_squared_error_sums_over_pixels():
    x, x_hat = torch.zeros(2, 1, 28, 28), torch.full((2, 1, 28, 28), 0.5)
    assert losses.squared_error(x, x_hat).tolist() == [784 * 0.25] * 2


LOGITS = torch.tensor([-30.0, -5, -0.5, -0.1001, -0.0999, -1e-3, 0, 1e-6, 0.0999, 0.1001, 2, 30], dtype=torch.float64)


def test_bernoulli_sums_to_one():
    logits = LOGITS.reshape(-1, 1, 1, 1)
    total = sum(torch.exp(-losses.bernoulli_nll(torch.full_like(logits, x), logits)) for x in (0.0, 1.0))
    torch.testing.assert_close(total, torch.ones_like(total))


def _densities(nll, low, high, points=400_001):
    """x: (points,) and exp(−nll(x)) for one pixel, by LOGITS: (logits, points)."""
    x = torch.linspace(low, high, points)
    grid = x.reshape(-1, 1, 1, 1)
    return x, torch.stack([torch.exp(-nll(grid, torch.full_like(grid, float(a)))) for a in LOGITS])


def test_continuous_bernoulli_integrates_to_one_and_has_its_mean():
    x, density = _densities(losses.continuous_bernoulli_nll, 0, 1)
    torch.testing.assert_close(torch.trapezoid(density, x), torch.ones(len(LOGITS)), rtol=1e-7, atol=0)
    torch.testing.assert_close(
        torch.trapezoid(x * density, x), losses.continuous_bernoulli_mean(LOGITS), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("sigma", [0.05, 1.0])
def test_gaussian_integrates_to_one(sigma):
    x, density = _densities(lambda x, mean: losses.gaussian_nll(x, mean / 10, sigma), -12, 12)
    torch.testing.assert_close(torch.trapezoid(density, x), torch.ones(len(LOGITS)), rtol=1e-7, atol=0)


def test_continuous_bernoulli_equals_torch():
    x = torch.rand(40, 1, 2, 3)
    logits = torch.cat([torch.randn(20, 1, 2, 3) * 3, torch.randn(20, 1, 2, 3) * 0.05])
    theirs = torch.distributions.ContinuousBernoulli(logits=logits)
    ours = losses.continuous_bernoulli_nll(x, logits)
    torch.testing.assert_close(ours, -theirs.log_prob(x).flatten(1).sum(1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("function", [losses.continuous_bernoulli_log_normalizer, losses.continuous_bernoulli_mean])
def test_the_series_around_one_half_is_accurate_in_both_precisions(function):
    just = losses.SERIES_BELOW * torch.tensor([1 - 1e-9, 1 + 1e-9])
    inside, outside = function(just)
    assert inside.item() == pytest.approx(outside.item(), abs=1e-9)
    logits = torch.linspace(-40, 40, 80_001)
    single = function(logits.float()).double()
    assert (single - function(logits)).abs().max() < 2e-6


def test_continuous_bernoulli_mean_is_the_derivative_of_its_log_partition():
    logits = LOGITS.clone().requires_grad_()
    partition = torch.nn.functional.softplus(logits) - losses.continuous_bernoulli_log_normalizer(logits)
    slope = torch.autograd.grad(partition.sum(), logits)[0]
    torch.testing.assert_close(slope, losses.continuous_bernoulli_mean(LOGITS), rtol=1e-6, atol=1e-9)


def test_aggregate_kl_is_that_of_the_mixtures_first_two_moments():
    torch.manual_seed(0)
    spread = torch.randn(3, 3)
    mu, logvar = torch.randn(500, 3) @ spread + 0.5, torch.randn(500, 3)
    draws = mu + torch.exp(0.5 * logvar) * torch.randn(20_000, 500, 3)
    flat = draws.flatten(0, 1)
    q = torch.distributions.MultivariateNormal(flat.mean(0), torch.cov(flat.T))
    p = torch.distributions.MultivariateNormal(torch.randn(3), torch.eye(3) + spread @ spread.T)
    assert losses.aggregate_kl(mu, logvar, p.mean, p.covariance_matrix).item() == pytest.approx(
        kl_divergence(q, p).item(), rel=3e-3
    )
    found = losses.aggregate_kl(torch.zeros(9, 3), torch.zeros(9, 3), torch.zeros(3), torch.eye(3))
    assert found.item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", activations.ACTIVATIONS)
def test_slopes_are_the_derivatives_of_the_activations(name):
    x = (torch.linspace(-6, 6, 100)).requires_grad_()  # not at 0, where relu has none
    slope = torch.autograd.grad(activations.ACTIVATIONS[name](x).sum(), x)[0]
    torch.testing.assert_close(activations.SLOPES[name](x.detach()), slope)


def test_gaussian_kl_equals_torch_and_monte_carlo():
    torch.manual_seed(0)
    mu, logvar = torch.randn(3, 4), torch.randn(3, 4)
    q, p = Normal(mu, torch.exp(0.5 * logvar)), Normal(torch.zeros_like(mu), 1.0)
    kl = losses.gaussian_kl(mu, logvar)
    torch.testing.assert_close(kl, kl_divergence(q, p))
    z = mu + torch.exp(0.5 * logvar) * torch.randn(100_000, 3, 4)  # reparameterized draws
    ratios = q.log_prob(z) - p.log_prob(z)
    standard_error = ratios.std(0) / ratios.shape[0] ** 0.5
    assert ((ratios.mean(0) - kl).abs() < 4.5 * standard_error).all()


def level_by_level(x, location, scale):
    """−Σ log of each pixel's probability, in numpy's float64 and one pixel at a time."""
    found = np.zeros(len(x))
    for i, c, h, w in np.ndindex(*x.shape):
        level, m, s = round(x[i, c, h, w] * 255), location[i, c, h, w], scale[c]
        low = -np.inf if level == 0 else (level / 255 - 1 / 510 - m) / s
        high = np.inf if level == 255 else (level / 255 + 1 / 510 - m) / s
        found[i] -= np.log(expit(high) - expit(low) if high < 0 else expit(-low) - expit(-high))
    return found


def test_the_discretized_logistic_is_that_of_a_loop(float64):
    x = torch.randint(0, 256, (4, 3, 5, 2), generator=torch.Generator().manual_seed(0)).double() / 255
    x[0, :, 0, 0], x[1, :, 0, 0] = 0, 1
    location, scale = torch.rand(4, 3, 5, 2) * 1.2 - 0.1, torch.tensor([0.02, 0.1, 1.5])
    expected = level_by_level(x.numpy(), location.numpy(), scale.numpy())
    found = losses.discretized_logistic_nll(x, location, scale)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(
        losses.discretized_logistic_nll(x.float(), location.float(), scale.float()).numpy(), expected, rtol=1e-4
    )


@pytest.mark.parametrize("location", [-40.0, -0.01, 0.0, 0.5, 127.3 / 255, 1.0, 7.0])
@pytest.mark.parametrize("scale", [1e-4, 1e-3, 0.1, 1.0, 1e4])
def test_the_probabilities_of_256_levels_are_one_together(location, scale):
    for dtype, error in ((torch.float64, 1e-9), (torch.float32, 1e-3)):
        x = torch.arange(256, dtype=dtype).view(256, 1, 1, 1) / 255
        at, s = torch.full_like(x, location).requires_grad_(), torch.tensor([scale], dtype=dtype, requires_grad=True)
        nll = losses.discretized_logistic_nll(x, at, s)
        assert torch.exp(-nll).sum().item() == pytest.approx(1, abs=error)
        assert nll.isfinite().all() and (nll > -1e-6).all()
        assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(nll.sum(), [at, s]))


@pytest.mark.parametrize(
    "loss",
    [
        lambda v: losses.squared_error(torch.full_like(v, 0.4), v),
        lambda v: losses.bernoulli_nll(torch.full_like(v, 0.4), v),
        lambda v: losses.gaussian_nll(torch.full_like(v, 0.4), v, 0.7),
        lambda v: losses.gaussian_kl(v.flatten(1), v.flatten(1) / 2),
        lambda v: losses.bernoulli_kl(0.3, torch.sigmoid(v)),
        lambda v: losses.gaussian_nll(torch.full_like(v, 0.4), v, v.square().mean().sqrt()),
        lambda v: losses.continuous_bernoulli_nll(torch.full_like(v, 0.4), v),
        lambda v: losses.continuous_bernoulli_nll(torch.full_like(v, 0.4), v / 100),
        lambda v: losses.continuous_bernoulli_mean(v),
        lambda v: losses.discretized_logistic_nll(torch.full_like(v, 2 / 5), v, v[:, 0, 0, 0].exp()[:1]),
        lambda v: losses.discretized_logistic_nll(torch.ones_like(v), v, torch.tensor([0.3])),
        lambda v: losses.gaussian_nll(torch.full_like(v, 0.4), v, v[:1, 0, 0, 0].exp()),
        lambda v: losses.continuous_bernoulli_mean(v / 100),
        lambda v: losses.aggregate_kl(v.flatten(1), v.flatten(1) / 2, torch.ones(6), torch.eye(6) * 2),
    ],
)
def test_gradients_equal_finite_differences(loss):
    torch.manual_seed(0)
    value = torch.randn(2, 1, 2, 3, requires_grad=True)
    assert torch.autograd.gradcheck(loss, value)
