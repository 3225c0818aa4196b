"""Sums over a grid against closed forms and importance samples."""

import pytest
import torch

from aetrain.evaluation.exact import exact
from aetrain.evaluation.nll import log_importance_mean
from aetrain.evaluation.pca import PCA, gaussian_log_likelihood, linear_elbo
from tests.conftest import build, unlabelled

SHAPE = (1, 4, 4)


def linear(latent_dim: int):
    sigma = 0.1
    model = build("model=vae", "net=linear", f"model.latent_dim={latent_dim}", "model.likelihood=gaussian",
                  "model.output=identity", f"model.sigma={sigma}", image_shape=SHAPE).double().eval()  # fmt: skip
    return model, torch.rand(1, *SHAPE, dtype=torch.float64)


@torch.no_grad()
@pytest.mark.parametrize("latent_dim", [1, 2])
@pytest.mark.parametrize(("shift", "widen"), [(0.0, 0.0), (30.0, 6.0), (-3.0, -12.0)])
def test_a_linear_gaussian_vae_has_its_closed_form(latent_dim, shift, widen):
    """Also where q is far from the posterior, and far narrower or wider."""
    model, x = linear(latent_dim)
    bias = model.encoder.layers[0].bias
    bias[:latent_dim] += shift
    bias[latent_dim:] += widen
    sigma = float(model.sigma)
    found = exact(model, x, None, 512)
    assert found.log_likelihood == pytest.approx(gaussian_log_likelihood(model, sigma, PCA.of(unlabelled(x))), abs=1e-6)
    assert found.elbo == pytest.approx(float(linear_elbo(model, sigma, x)), rel=1e-6, abs=1e-5)
    assert found.gap > 0 and found.error < 1e-6
    assert _mass(found) == pytest.approx(1, abs=1e-9)


@torch.no_grad()
def test_the_density_is_the_posterior_of_a_linear_gaussian_vae():
    """N(M⁻¹ Wᵀ (x − b), σ² M⁻¹) with M = Wᵀ W + σ² I (Tipping & Bishop 1999, section 3.1)."""
    model, x = linear(2)
    layer, sigma2 = model.decoder.layers[0], float(model.sigma) ** 2
    m = layer.weight.T @ layer.weight + sigma2 * torch.eye(2)
    mean, covariance = torch.linalg.solve(m, layer.weight.T @ (x.flatten() - layer.bias)), sigma2 * m.inverse()
    found = exact(model, x, None, 512)
    places = torch.cartesian_prod(*found.axes)
    wanted = torch.distributions.MultivariateNormal(mean, covariance).log_prob(places).exp()
    assert torch.allclose(found.density.flatten(), wanted, rtol=1e-6, atol=1e-6 * float(wanted.max()))


@torch.no_grad()
def test_a_posterior_of_several_modes_has_the_likelihood_of_importance_samples():
    model = build("model=vae", "net=mlp", "net.hidden=[8]", "model.latent_dim=2", image_shape=SHAPE).double().eval()
    for layer in model.decoder.layers:
        layer.weight *= 6
    model.encoder.layers[-1].weight.zero_()
    model.encoder.layers[-1].bias.zero_()  # q is the prior
    x = (torch.rand(1, *SHAPE) > 0.5).double()
    with model.noise.fixed(0):
        sampled = float(log_importance_mean(model, x, None, 50_000))
    assert exact(model, x, None, 512).log_likelihood == pytest.approx(sampled, abs=0.1)


def _mass(found) -> float:
    total = float(found.density.sum())
    for axis in found.axes:
        total *= float(axis[1] - axis[0])
    return total
