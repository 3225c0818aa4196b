"""Bounds on log p(x): the ELBO, IWAE, importance samples; the linear VAE, for which all is known."""

import math
from itertools import pairwise

import pytest
import torch

from aetrain.data.split import Split, Splits
from aetrain.evaluation.nll import importance_nll
from aetrain.evaluation.pca import PCA, gaussian_log_likelihood, linear_elbo, place
from tests.conftest import build, facts, unlabelled


def responsive(*overrides):
    """A model whose posterior depends on the image, unlike a fresh one's."""
    net = build(*overrides)
    with torch.no_grad():
        net.encoder.layers[-1].weight *= 6
        net.decoder.layers[-1].weight *= 4
    return net


def test_iwae_with_one_sample_is_the_elbo_of_that_sample(float64, images):
    net, x = responsive("model=iwae", "model.k=1"), images[:8].double()
    torch.manual_seed(3)
    bound = net(x)["iwae"]
    torch.manual_seed(3)
    mu, logvar = net.posterior(x)
    q = torch.distributions.Normal(mu, torch.exp(0.5 * logvar))
    z = q.mean + q.stddev * torch.randn(8, 1, 20)[:, 0]
    prior = torch.distributions.Normal(torch.zeros(20), 1.0)
    elbo = -net.reconstruction(x, z) + (prior.log_prob(z) - q.log_prob(z)).sum(1)
    torch.testing.assert_close(bound, -elbo, rtol=1e-12, atol=0)


def test_iwae_with_one_sample_is_the_vae_in_expectation(float64, images):
    net, x = responsive("model=iwae", "model.k=1"), images[:1].double()
    with torch.no_grad():
        out = net(x.expand(8000, -1, -1, -1))
    difference = out["iwae"] - out["nelbo"]
    assert difference.std() > 0.1
    assert abs(difference.mean().item()) < 4.5 * difference.std().item() / 8000**0.5


@torch.no_grad()
def test_the_bound_tightens_with_k(float64, images):
    x, bounds = images[:1].double().expand(1000, -1, -1, -1), []
    for k in (1, 5, 25):
        net = responsive("model=iwae", f"model.k={k}", "net.hidden=[30]", "model.latent_dim=5")
        torch.manual_seed(0)
        value = net(x)["iwae"]
        bounds.append((value.mean().item(), value.std().item() / 1000**0.5))
    for (loose, error_1), (tight, error_2) in pairwise(bounds):
        assert tight < loose - 4.5 * math.hypot(error_1, error_2)


def test_importance_samples_come_in_portions_of_any_number(float64):
    raw = torch.randint(0, 256, (130, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    net = responsive("model=vae", "net.hidden=[30]", "model.latent_dim=4", "model.likelihood=gaussian")
    before = torch.get_rng_state()
    values = [importance_nll(net, unlabelled(raw), samples, 0) for samples in (1, 64, 100)]
    assert values[0] > values[1] > values[2] - 0.5 and net.training
    assert torch.equal(torch.get_rng_state(), before)
    # The same estimate in one piece, from the same noise.
    with net.noise.fixed(0), torch.no_grad():
        x = raw / 255
        mu, logvar = net.posterior(x)
        epsilon = torch.cat([net.noise.randn_like(torch.empty(130, k, 4)) for k in (64, 36)], dim=1)
        log_likelihood, log_ratio = net.log_weights(x, mu, logvar, epsilon)
        whole = math.log(100) - torch.logsumexp(log_likelihood + log_ratio, 1)
    assert values[2] == pytest.approx(whole.mean().item(), rel=1e-9)


@pytest.fixture
def linear_images():
    """Images of a linear Gaussian model, so that no direction is without variance: floats (2000, 1, 6, 6)."""
    torch.manual_seed(0)
    z = torch.randn(2000, 4) * torch.tensor([2.0, 1.5, 1.0, 0.7])
    return (z @ torch.randn(4, 36) * 0.2 + 0.1 * torch.randn(2000, 36) + 0.3).reshape(2000, 1, 6, 6)


def linear_vae(images, k=4):
    pca = PCA.of(unlabelled(images))
    net = build("model=vae", "net=linear", "model.likelihood=gaussian", "model.output=identity",
                f"model.latent_dim={k}", f"model.sigma={pca.noise(k) ** 0.5}", image_shape=(1, 6, 6))  # fmt: skip
    net.sigma = torch.tensor(pca.noise(k) ** 0.5)
    place(net, pca)
    return net, pca


def test_at_the_closed_form_every_bound_is_the_likelihood(float64, linear_images):
    net, pca = linear_vae(linear_images)
    exact = gaussian_log_likelihood(net, net.sigma.item(), pca)
    assert exact == pytest.approx(pca.log_likelihood(4), abs=1e-6)
    elbo = linear_elbo(net, net.sigma, linear_images).mean().item()
    assert elbo == pytest.approx(exact, abs=1e-3)
    for samples in (1, 100):  # the posterior is exact, so a single sample is enough
        assert importance_nll(net, unlabelled(linear_images), samples, 0) == pytest.approx(-exact, abs=1e-3)
    reference = torch.distributions.LowRankMultivariateNormal(
        pca.mean, net.decoder.layers[0].weight.detach(), torch.full((36,), net.sigma.item() ** 2)
    )
    assert reference.log_prob(linear_images.flatten(1)).mean().item() == pytest.approx(exact, abs=1e-6)


def test_the_closed_form_is_stationary_and_unbeaten(float64, linear_images):
    net, _ = linear_vae(linear_images)
    sigma = net.sigma.clone().requires_grad_()
    elbo = linear_elbo(net, sigma, linear_images).mean()
    gradients = torch.autograd.grad(elbo, [*net.parameters(), sigma])
    assert max(g.abs().max().item() for g in gradients) < 1e-8
    torch.manual_seed(1)
    for _ in range(5):
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.003 * torch.randn_like(parameter))
            assert linear_elbo(net, net.sigma, linear_images).mean() < elbo


def test_the_models_own_elbo_has_the_closed_forms_expectation(float64, linear_images):
    net, _ = linear_vae(linear_images)
    x = linear_images[:1].expand(20_000, -1, -1, -1)
    nelbo = net(x)["nelbo"].detach()
    exact = -linear_elbo(net, net.sigma, linear_images[:1]).item()
    assert abs(nelbo.mean().item() - exact) < 4.5 * nelbo.std().item() / 20_000**0.5


def test_a_linear_autoencoder_placed_at_pca_has_its_error(float64, linear_images):
    pca = PCA.of(unlabelled(linear_images))
    net = build("model=ae", "net=linear", "model.output=identity", "model.latent_dim=3", image_shape=(1, 6, 6))
    place(net, pca)
    assert net(linear_images)["recon"].mean().item() == pytest.approx(pca.minimum(3), rel=1e-9)
    assert pca.angle(net.decoder.layers[0].weight.detach()) == pytest.approx(0, abs=1e-5)
    assert pca.angle(torch.cat([pca.vectors[:, :2], pca.vectors[:, 9:10]], 1)) == pytest.approx(90)


@pytest.mark.parametrize("active", [0, 3, 5])
def test_collapse_is_reported_in_words(active):
    net = build("model=vae", "model.latent_dim=5")
    torch.manual_seed(0)
    mu, logvar = torch.zeros(200, 5), torch.zeros(200, 5)
    mu[:, :active] = torch.randn(200, active)
    kl = {"kl": float(net.prior.kl(mu, logvar, mu).mean())}
    words = net.findings(kl, net.diagnostics({"mu": mu, "logvar": logvar}))
    expected = {0: ["posterior collapse: none of the 5"], 3: ["2 of 5 latent dimensions have collapsed"], 5: []}
    assert len(words) == len(expected[active])
    assert all(word.startswith(start) for word, start in zip(words, expected[active], strict=True))


def test_the_aggregate_posterior_against_the_prior(float64):
    net = build("model=vae", "model.latent_dim=2")
    torch.manual_seed(0)
    mu = torch.randn(50_000, 2) * 0.6
    logvar = torch.full_like(mu, math.log(1 - 0.36))  # the codes of a perfect match: N(0, 0.36 + 0.64)
    found = net.diagnostics({"mu": mu, "logvar": logvar})
    assert found["aggregate_kl"].item() < 1e-3
    assert (found["aggregate_std"] - 1).abs().max() < 0.01
    assert net.diagnostics({"mu": mu + 2, "logvar": logvar})["aggregate_kl"].item() == pytest.approx(4, rel=0.01)


# --- capacity


def test_capacity_is_the_distance_of_the_mean_kl(images):
    net = build("model=beta_vae", "model.capacity=3", "model.gamma=7")
    out = net(images)
    torch.testing.assert_close(out["capacity"], (out["kl"].mean() - 3).abs().expand(64))
    torch.testing.assert_close(out["loss"], out["recon"] + 7 * out["capacity"])


@pytest.mark.parametrize(("capacity", "missed"), [(2.4, False), (2.6, True), (1.4, True)])
def test_a_missed_capacity_is_reported_in_words(capacity, missed):
    net = build("model=beta_vae", "model.latent_dim=4", f"model.capacity={capacity}")
    mu = torch.tensor([[1.0], [-1.0]]).expand(2, 4)  # mean KL 4 · 1/2
    words = net.findings({"kl": 2.0}, net.diagnostics({"mu": mu, "logvar": torch.zeros(2, 4)}))
    assert bool(words) is missed
    assert not missed or f"2.00 nats with a capacity of {capacity}" in words[0]


def test_splits_of_codes_give_their_own_facts():
    codes = Split(torch.rand(30, 1, 1, 7), torch.zeros(30))
    found = Splits(codes, codes, codes, 10).facts()
    torch.testing.assert_close(found.mean_image, codes.images.mean(0))
    assert found.image_shape == (1, 1, 7) and found.binary is False and facts().binary is False
