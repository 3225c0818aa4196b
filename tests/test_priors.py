"""The priors of the VAEs: densities, draws, KL, and what the diagnostics say of them."""

import dataclasses
import math
import re

import numpy as np
import pytest
import torch
from scipy import stats

from aetrain.config import stored
from aetrain.config.tree import plain
from aetrain.errors import UserError
from aetrain.noise import Noise
from aetrain.priors.mixture import Mixture
from aetrain.priors.normal import Normal
from aetrain.priors.vamp import Vamp
from tests.conftest import build, compose, facts

LEARNED = [("mixture", 4), ("vamp", 4)]


def mixture(components, dimensions, seed=0):
    """With means, variances and weights that all differ."""
    torch.manual_seed(seed)
    prior = Mixture(components, (dimensions,), Noise())
    with torch.no_grad():
        for part, spread in ((prior.mu, 2.0), (prior.logvar, 0.7), (prior.logits, 1.0)):
            part.copy_(spread * torch.randn_like(part))
    return prior.requires_grad_(False)


def in_numpy(prior, z):
    """log p(z), component by component and dimension by dimension."""
    weights, mu, logvar = (part.detach().numpy() for part in prior.components())
    found = np.zeros(len(z))
    for k in range(len(mu)):
        found += np.exp(weights[k]) * stats.norm.pdf(z.numpy(), mu[k], np.exp(0.5 * logvar[k])).prod(1)
    return torch.from_numpy(np.log(found))


def with_posterior(mu, logvar, components=1):
    """A VampPrior of a posterior that is the same for every image."""
    shape = (len(mu),)
    return Vamp(components, shape, facts(), Noise(), lambda x, y: (mu.expand(len(x), -1), logvar.expand(len(x), -1)))


# --- densities


def test_the_standard_normal_is_torchs(float64):
    prior, z = Normal((4,), Noise()), torch.randn(50, 4)
    reference = torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(prior.log_prob(z), reference.log_prob(z).sum(1))
    mu, logvar = torch.randn(50, 4), torch.randn(50, 4)
    q = torch.distributions.Normal(mu, torch.exp(0.5 * logvar))
    torch.testing.assert_close(prior.kl(mu, logvar, z), torch.distributions.kl_divergence(q, reference).sum(1))
    torch.testing.assert_close(prior.kl_per_dimension(mu, logvar).sum(1), prior.kl(mu, logvar, z))


def test_a_mixture_is_numpys(float64, monkeypatch):
    prior, z = mixture(5, 3), 3 * torch.randn(40, 3)
    torch.testing.assert_close(prior.log_prob(z), in_numpy(prior, z))
    monkeypatch.setattr("aetrain.priors.prior.PAIRS_AT_ONCE", 20)  # a few rows at a time
    torch.testing.assert_close(prior.log_prob(z), in_numpy(prior, z))


@pytest.mark.parametrize(("dimensions", "points"), [(1, 4001), (2, 401)])
def test_a_mixtures_density_integrates_to_one(float64, dimensions, points):
    prior, axis = mixture(4, dimensions), torch.linspace(-20, 20, points)
    z = torch.cartesian_prod(*[axis] * dimensions).view(-1, dimensions)
    total = prior.log_prob(z).exp().sum() * (axis[1] - axis[0]) ** dimensions
    assert total.item() == pytest.approx(1, abs=1e-6)


def test_vamp_is_the_mixture_of_the_posteriors_of_its_images(float64):
    net = build("model=vae", "prior=vamp", "prior.components=6", "model.latent_dim=3", "net.hidden=[8]")
    with torch.no_grad():
        net.prior.pseudo_inputs.copy_(torch.rand(6, 1, 28, 28) * 1.4 - 0.2)
        mu, logvar = net.posterior(net.prior.pseudo_inputs.clamp(0, 1))
        z = torch.randn(20, 3)
        expected = torch.distributions.MixtureSameFamily(
            torch.distributions.Categorical(torch.ones(6)),
            torch.distributions.Independent(torch.distributions.Normal(mu, torch.exp(0.5 * logvar)), 1),
        )
        torch.testing.assert_close(net.prior.log_prob(z), expected.log_prob(z))


def test_vamp_with_the_standard_normal_for_its_posterior_is_the_standard_normal(float64):
    prior, normal = with_posterior(torch.zeros(3), torch.zeros(3)), Normal((3,), Noise())
    z, mu, logvar = torch.randn(30, 3), torch.randn(30, 3), torch.randn(30, 3)
    torch.testing.assert_close(prior.log_prob(z), normal.log_prob(z))
    found, expected = prior.kl_per_dimension(mu, logvar), normal.kl_per_dimension(mu, logvar)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-4)  # between the points of a grid
    for ours, theirs in zip(prior.moments(z), normal.moments(z), strict=True):
        torch.testing.assert_close(ours, theirs)
    draws = []
    for each in (prior, normal):
        with each.noise.fixed(3):
            draws.append(each.sample(9, z))
    assert torch.equal(*draws)


# --- draws


def test_the_standard_normals_draws_are_the_models_noise():
    net = build("model=vae", "model.latent_dim=3")
    with net.noise.fixed(5):
        z = net.prior.sample(10, torch.empty(0))
    with net.noise.fixed(5):
        assert torch.equal(z, net.noise.randn_like(torch.empty(10, 3)))
    with net.noise.fixed(5):
        assert torch.equal(net.sample(10), net.decode(z))
    assert not any(name.startswith("prior") for name in net.state_dict())


def test_a_mixtures_draws_follow_its_density(float64):
    prior = mixture(3, 1)
    with prior.noise.fixed(0):
        z = prior.sample(20_000, torch.empty(0)).flatten()
    weights, mu, logvar = (part.numpy() for part in prior.components())

    def cdf(x):
        return sum(np.exp(w) * stats.norm.cdf(x, m, s) for w, m, s in zip(weights, mu, np.exp(logvar / 2), strict=True))

    assert stats.kstest(z.numpy(), cdf).pvalue > 0.01


def test_its_moments_are_those_of_its_draws(float64):
    prior = mixture(4, 3)
    with prior.noise.fixed(1):
        z = prior.sample(200_000, torch.empty(0))
    mean, covariance = prior.moments(z)
    torch.testing.assert_close(z.mean(0), mean, rtol=0.02, atol=0.02)
    torch.testing.assert_close(torch.cov(z.T), covariance, rtol=0.03, atol=0.05)


def test_vamps_draws_come_from_the_posteriors_of_pseudo_inputs():
    net = build("model=vae", "prior=vamp", "prior.components=3", "model.latent_dim=2", "net.hidden=[8]")
    places = torch.tensor([[-9.0, 0.0], [0.0, 9.0], [9.0, 0.0]])
    net.prior._posterior = lambda x, y: (places, torch.full((3, 2), -4.0))
    z = net.prior.sample(3000, places)
    distance, nearest = torch.cdist(z, places).min(1)
    assert distance.max() < 5 * math.exp(-2) * 1.5
    shares = nearest.bincount(minlength=3) / 3000
    torch.testing.assert_close(shares, torch.full((3,), 1 / 3), rtol=0, atol=0.04)


# --- the KL


def test_a_sampled_kl_has_the_closed_forms_expectation(float64):
    """Where the one component is N(0, I)."""
    prior, mu, logvar = with_posterior(torch.zeros(2), torch.zeros(2)), torch.randn(1, 2), torch.randn(1, 2)
    z = mu + torch.exp(0.5 * logvar) * torch.randn(400_000, 2)
    draws = prior.kl(mu.expand_as(z), logvar.expand_as(z), z)
    error = 5 * float(draws.std()) / len(draws) ** 0.5
    assert draws.mean().item() == pytest.approx(Normal((2,), Noise()).kl(mu, logvar, z).item(), abs=error)


def test_kl_per_dimension_is_that_from_the_marginals(float64):
    prior, mu, logvar = mixture(3, 2), torch.randn(5, 2), torch.randn(5, 2)
    weights, means, logvars = prior.components()
    found = prior.kl_per_dimension(mu, logvar)
    axis = torch.linspace(-30, 30, 60_001)
    for i in range(5):
        for d in range(2):
            q = torch.distributions.Normal(mu[i, d], torch.exp(0.5 * logvar[i, d]))
            p = torch.distributions.MixtureSameFamily(
                torch.distributions.Categorical(logits=weights),
                torch.distributions.Normal(means[:, d], torch.exp(0.5 * logvars[:, d])),
            )
            terms = q.log_prob(axis).exp() * (q.log_prob(axis) - p.log_prob(axis))
            assert found[i, d].item() == pytest.approx(float(terms.sum() * (axis[1] - axis[0])), rel=2e-2, abs=5e-3)


@pytest.mark.parametrize(("name", "k"), LEARNED)
@pytest.mark.parametrize("model", ["vae", "iwae", "cvae", "beta_tcvae"])
def test_a_models_kl_is_that_of_its_draws(model, name, k, images, labels, float64):
    net = build(f"model={model}", f"prior={name}", f"prior.components={k}", "net.hidden=[8]", "model.latent_dim=3")
    torch.manual_seed(0)
    images = images.double()
    terms = net(images, labels)
    torch.manual_seed(0)
    mu, logvar = net.posterior(images, labels)
    draws = 5 if model == "iwae" else 1
    z = mu.unsqueeze(1) + torch.exp(0.5 * logvar).unsqueeze(1) * torch.randn(64, draws, 3)
    q = torch.distributions.Normal(mu.unsqueeze(1), torch.exp(0.5 * logvar).unsqueeze(1))
    expected = q.log_prob(z).sum(2) - net.prior.log_prob(z.flatten(0, 1)).view(64, draws)
    torch.testing.assert_close(terms["kl"], expected.mean(1))
    torch.testing.assert_close(terms["nelbo"], terms["recon"] + terms["kl"])


@pytest.mark.parametrize(("name", "k"), LEARNED)
def test_a_capacity_is_compared_with_the_same_estimate(name, k, images):
    net = build("model=beta_vae", "model.capacity=3", f"prior={name}", f"prior.components={k}")
    out = net(images)
    torch.testing.assert_close(out["capacity"], (out["kl"].mean() - 3).abs().expand(64))


# --- pseudo-inputs


def test_pseudo_inputs_begin_about_the_mean_image_and_learn(images):
    net = build("model=vae", "prior=vamp", "prior.components=20")
    started = net.prior.images().detach()
    assert (started.mean(0) - net.facts.mean_image).abs().max() < 0.02  # 20 draws of 0.01
    assert started.std(0).mean() == pytest.approx(0.01, rel=0.1)
    net(images)["loss"].mean().backward()
    assert (net.prior.pseudo_inputs.grad.flatten(1).abs().sum(1) > 0).all()
    with torch.no_grad():
        net.prior.pseudo_inputs.add_(torch.randn_like(net.prior.pseudo_inputs))
    assert net.prior.images().min() == 0 and net.prior.images().max() == 1


def test_a_conditional_models_pseudo_inputs_have_every_class(images, labels):
    net = build("model=cvae", "prior=vamp", "prior.components=25", "model.latent_dim=2")
    mu, _ = net.posterior(net.prior.images(), torch.arange(25) % 10)
    torch.testing.assert_close(net.prior.components().mu, mu)
    with torch.no_grad():
        net.label_images.normal_()
    assert len(net.prior.components().mu[:10].unique(dim=0)) == 10


@pytest.mark.parametrize(("name", "k"), LEARNED)
def test_networks_start_alike_whatever_the_prior(name, k):
    plain, net = build("model=vae"), build("model=vae", f"prior={name}", f"prior.components={k}")
    weights = net.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in plain.state_dict().items())


# --- what the diagnostics say


def test_codes_that_follow_a_learned_prior_are_not_far_from_it(float64):
    net = build("model=vae", "prior=mixture", "prior.components=3", "model.latent_dim=2")
    net.prior = mixture(3, 2)
    with net.prior.noise.fixed(0):
        z = net.prior.sample(50_000, torch.empty(0))
    latents = {"mu": z, "logvar": torch.full_like(z, -30.0)}
    assert net.diagnostics(latents)["aggregate_kl"].item() < 1e-3
    latents["mu"] = z + 2
    assert net.diagnostics(latents)["aggregate_kl"].item() > 0.5


# --- configurations


@pytest.mark.parametrize(("model", "prior"), [("beta_vae", {"name": "normal"}), ("ae", None)])
def test_a_stored_configuration_from_before_priors_has_the_normal_one(model, prior):
    whole = compose(f"model={model}")
    tree = plain(whole)
    assert tree.pop("prior") == prior
    del tree["model"]["sigma_per_channel"]
    assert stored.build(tree, "config.yaml") == dataclasses.replace(whole, logger=compose().logger)


@pytest.mark.parametrize(
    ("model", "prior", "told"),
    [
        ("vae", None, "model.name=vae needs a prior"),
        ("ae", {"name": "normal"}, "model.name=ae takes no prior"),
        ("vae", {"name": "os"}, "prior.name='os' is no prior"),
        ("vae", {"name": "vamp"}, "prior.components has no value"),
        ("vae", "vamp", "prior is not a group of values"),
    ],
)
def test_a_stored_prior_that_is_none_is_refused(model, prior, told):
    with pytest.raises(UserError, match=re.escape(told)):
        stored.build(plain(compose(f"model={model}")) | {"prior": prior}, "config.yaml")


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 2, 5)])
@pytest.mark.parametrize("k", [1, 7])
def test_images_of_any_shape_and_a_batch_of_two(shape, k):
    net = build("model=vae", "prior=vamp", f"prior.components={k}", "model.latent_dim=1", image_shape=shape)
    net(torch.rand(2, *shape))["loss"].mean().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())
    found = net.eval().diagnostics(net.latents(torch.rand(2, *shape)))
    assert all(value.isfinite().all() for value in found.values()) and net.sample(2).shape == (2, *shape)


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
def test_weights_that_have_diverged_are_no_crash(prior):
    """The last update of a run may have overflowed: its evaluation says so in its numbers."""
    mu = torch.tensor([[0.0, 1.0], [torch.nan, torch.inf]])
    net = build("model=vae", f"prior={prior}", "prior.components=3", "model.latent_dim=2")
    found = net.prior.kl_per_dimension(mu, torch.zeros(2, 2))
    assert found.shape == (2, 2) and not found[1].isfinite().any()
