"""The aggregate posterior: parts of the KL against closed forms and double loops."""

import math

import pytest
import torch

from aetrain.aggregate import SAMPLING, decompose, log_normal, stratified
from tests.conftest import build


@pytest.mark.parametrize("sampling", SAMPLING)
@pytest.mark.parametrize("n", [1, 2, 64])
def test_the_parts_of_every_image_sum_to_its_sampled_kl(sampling, n, images, float64):
    net = build("model=beta_tcvae", f"model.sampling={sampling}", "net.hidden=[30]")
    with torch.no_grad():
        parts = net.paired(images[:n].double())
        found = net.pairwise(parts)
    z = parts["z"]
    expected = log_normal(z, parts["mu"], parts["logvar"]).sum(1) - net.prior.log_prob(z)
    torch.testing.assert_close(sum(found.values()), expected, rtol=0, atol=1e-5)


def test_weighted_is_the_papers_double_loop(float64):
    torch.manual_seed(0)
    z, mu, logvar = (torch.randn(5, 3) for _ in range(3))
    total = 1000
    found = decompose(z, mu, logvar, torch.zeros(5), SAMPLING["weighted"](5, total, z))
    for i in range(5):
        densities = [[float(log_normal(z[i], mu[j], logvar[j])[d].exp()) for d in range(3)] for j in range(5)]
        log_q = math.log(sum(math.prod(row) for row in densities) / (total * 5))
        log_product = sum(math.log(sum(row[d] for row in densities) / (total * 5)) for d in range(3))
        assert float(found.total_correlation[i]) == pytest.approx(log_q - log_product)
        assert float(found.dimension_kl[i]) == pytest.approx(log_product)


@pytest.mark.parametrize(("batch", "total"), [(1, 10), (2, 2), (5, 1000), (128, 50_000), (300, 100)])
def test_stratified_weights_are_those_of_a_mixture(batch, total):
    """They sum to 1; the image's own is 1/N."""
    weights = stratified(batch, total, torch.zeros((), dtype=torch.float64)).exp()
    torch.testing.assert_close(weights.sum(1), torch.ones(batch, dtype=torch.float64))
    if batch > 1:
        assert torch.allclose(weights.diagonal(), torch.tensor(1 / max(total, batch), dtype=torch.float64))


def test_stratified_is_right_in_expectation(float64):
    """Over all orders of the other images, the mean estimate of q(z_i) is q(z_i) of all N."""
    torch.manual_seed(0)
    n, batch = 12, 4
    mu = torch.randn(n, 1)
    densities = log_normal(torch.zeros(1), mu, torch.zeros(n, 1)).squeeze(1).exp()  # of z_0 = 0
    row = stratified(batch, n, mu)[0].exp()
    estimates = []
    for _ in range(4000):
        others = 1 + torch.randperm(n - 1)[: batch - 1]
        estimates.append(float(row[0] * densities[0] + (row[1:] * densities[others]).sum()))
    found = torch.tensor(estimates)
    assert abs(found.mean() - densities.mean()) < 4 * found.std() / len(found) ** 0.5


def test_the_parts_of_known_gaussians_are_right(float64):
    """Means from N(0, S), posteriors of variance v: the aggregate is N(0, S + v I), of which TC, MI and the KL of each
    dimension are known."""
    torch.manual_seed(0)
    n, v = 1200, 0.5
    s = torch.tensor([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 0.5]])
    mu = torch.randn(n, 3) @ torch.linalg.cholesky(s).T
    logvar = torch.full((n, 3), math.log(v))
    z = mu + v**0.5 * torch.randn(n, 3)
    log_prior = log_normal(z, torch.zeros(3), torch.zeros(3)).sum(1)
    found = decompose(z, mu, logvar, log_prior, stratified(n, n, z))
    aggregate = s + v * torch.eye(3)
    variances = aggregate.diagonal()
    exact = {
        "total_correlation": 0.5 * (variances.log().sum() - torch.logdet(aggregate)),
        "mutual_information": 0.5 * (torch.logdet(aggregate) - 3 * math.log(v)),
        "dimension_kl": 0.5 * (variances - 1 - variances.log()).sum(),
    }
    for name, value in exact.items():
        of_images = getattr(found, name)
        assert abs(of_images.mean() - value) < 4 * of_images.std() / n**0.5, name


def test_with_ones_it_has_the_vaes_expected_gradient(float64, images):
    x, found = images[:8].double(), []
    for model in (["model=vae"], ["model=beta_tcvae", "model.beta=1"]):
        net = build(*model, "model.latent_dim=2", "net.hidden=[6]")
        last = net.encoder.layers[-1].bias
        torch.manual_seed(0)
        draws = [torch.autograd.grad(net(x)["loss"].mean(), last)[0] for _ in range(400)]
        found.append(torch.stack(draws))
    error = (found[0].var(0) / 400 + found[1].var(0) / 400).sqrt()
    assert ((found[0].mean(0) - found[1].mean(0)).abs() < 4.5 * error).all()
    assert not torch.allclose(found[0][0], found[1][0])


def test_an_evaluation_takes_the_pairs_of_the_first_images(images):
    """As if these were one batch; every other image has the mean."""
    from aetrain.device import Precision
    from aetrain.evaluation import terms
    from tests.conftest import unlabelled

    net = build("model=beta_tcvae", "net.hidden=[30]").eval()
    raw = (images * 255).to(torch.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(terms, "PAIRS", 20)
        found = terms.evaluate(net, unlabelled(raw), 7, 0, Precision.of("fp32", torch.device("cpu"))).terms
    with torch.no_grad(), net.noise.fixed(0):
        expected = net.pairwise(net.paired(raw[:20] / 255))
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value.mean()), rel=1e-4, abs=1e-4)
