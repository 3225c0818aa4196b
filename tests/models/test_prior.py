"""The prior of the VAEs."""

import torch

from aetrain.models.prior import StandardNormal
from aetrain.noise import Noise
from tests.conftest import build


def test_the_standard_normal_is_torchs(float64):
    prior, z = StandardNormal((4,), Noise()), torch.randn(50, 4)
    reference = torch.distributions.Normal(0.0, 1.0)
    torch.testing.assert_close(prior.log_prob(z), reference.log_prob(z).sum(1))
    mu, logvar = torch.randn(50, 4), torch.randn(50, 4)
    q = torch.distributions.Normal(mu, torch.exp(0.5 * logvar))
    torch.testing.assert_close(prior.kl(mu, logvar, z), torch.distributions.kl_divergence(q, reference).sum(1))
    torch.testing.assert_close(prior.kl_per_dimension(mu, logvar).sum(1), prior.kl(mu, logvar, z))


def test_its_samples_are_the_models_noise():
    net = build("model=vae", "model.latent_dim=3")
    with net.noise.fixed(5):
        z = net.prior.sample(10, torch.empty(0))
    with net.noise.fixed(5):
        assert torch.equal(z, net.noise.randn_like(torch.empty(10, 3)))
    with net.noise.fixed(5):
        assert torch.equal(net.sample(10), net.decode(z))
    assert not any(name.startswith("prior") for name in net.state_dict())
