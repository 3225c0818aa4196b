"""FactorVAE: the discriminator against the closed form, and two players on one backward pass."""

import copy
import math

import pytest
import torch

from aetrain.device import Precision
from aetrain.errors import UserError
from aetrain.training.optimizer import build_optimizer
from aetrain.training.step import Latch, make_step, objective
from tests.conftest import build, compose

CPU = torch.device("cpu")
SMALL = ["model=factor_vae", "net.hidden=[30]", "model.discriminator=[20,20]", "model.latent_dim=4"]


def players(net):
    """Names of the model's own parameters, and of the discriminator's."""
    names = [name for name, _ in net.named_parameters()]
    theirs = [name for name in names if name.startswith("discriminator.")]
    return [name for name in names if name not in theirs], theirs


def test_at_its_optimum_the_discriminator_tells_the_total_correlation():
    """Of a Gaussian it is −½ log det of the correlations."""
    net = build("model=factor_vae", "model.latent_dim=3", "model.discriminator=[48,48]")
    correlations = torch.tensor([[1.0, 0.8, 0.0], [0.8, 1.0, 0.3], [0.0, 0.3, 1.0]])
    factor, exact = torch.linalg.cholesky(correlations), -0.5 * float(torch.logdet(correlations))
    optimizer, steps = torch.optim.Adam(net.discriminator.parameters()), 500
    torch.manual_seed(0)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / steps)
        z = torch.randn(1000, 3) @ factor.T
        optimizer.zero_grad()
        net.pairwise({"z": z, "order": torch.rand_like(z)})["discriminator"].mean().backward()
        optimizer.step()
    with torch.no_grad():
        found = float(net.discriminator(torch.randn(100_000, 3) @ factor.T).mean())
    assert found == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize("batch", [1, 2, 7, 64])
def test_one_backward_pass_has_the_gradients_of_both_players(batch, images, float64):
    net, x = build(*SMALL), images[:batch].double()
    ours, theirs = players(net)
    params = dict(net.named_parameters())

    def terms():
        torch.manual_seed(5)
        return net(x)

    objective(net, terms()).mean().backward()
    together = {name: p.grad.clone() for name, p in params.items()}
    for term, moved, fixed in (("loss", ours, theirs), ("discriminator", theirs, ours)):
        net.zero_grad(set_to_none=True)
        terms()[term].mean().backward()
        assert all(params[name].grad is None for name in fixed)
        for name in moved:
            torch.testing.assert_close(together[name], params[name].grad, rtol=1e-12, atol=0)


def test_the_models_gradient_is_that_through_the_discriminator(images, float64):
    """As algorithm 2 has it: with the discriminator's weights held, not its answer."""
    net, x = build(*SMALL, "model.gamma=3"), images[:8].double()
    ours = [p for name, p in net.named_parameters() if name in players(net)[0]]
    torch.manual_seed(5)
    found = torch.autograd.grad(net(x)["loss"].mean(), ours)
    torch.manual_seed(5)
    mu, logvar = net.posterior(x)
    z = net.draw(mu, logvar)
    loss = net.reconstruction(x, z) + net.prior.kl(mu, logvar, z) + 3 * net.discriminator(z)
    torch.testing.assert_close(found, torch.autograd.grad(loss.mean(), ours))


def test_the_second_half_is_permuted_dimension_by_dimension(float64):
    net = build(*SMALL)
    seen = []
    net.discriminator.forward = lambda z: seen.append(z) or z.sum(1)
    z = torch.randn(41, 4)
    out = net.pairwise({"z": z, "order": torch.rand_like(z)})["discriminator"]
    (given,) = seen
    assert out.shape == (41,) and torch.equal(given[:21], z[:21])
    for d in range(4):
        assert torch.equal(given[21:, d].sort().values, z[21:, d].sort().values)
    rows = {tuple(row) for row in z.tolist()}
    assert not any(tuple(row) in rows for row in given[21:].tolist())
    ratio = given.sum(1)
    expected = [*-torch.sigmoid(ratio[:21]).log(), *-(1 - torch.sigmoid(ratio[21:])).log()]
    torch.testing.assert_close(out, torch.stack(expected))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_each_player_has_its_own_learning_rate(optimizer, images):
    """Adam's first step is the learning rate for every parameter; SGD's is that times the gradient."""
    words = [*SMALL, f"optimizer={optimizer}", "optimizer.lr=1e-3", "model.discriminator_lr=1e-2"]
    words += ["optimizer.weight_decay=0"] if optimizer == "adamw" else []
    config, net = compose(*words), build(*words)
    before = copy.deepcopy(dict(net.named_parameters()))
    step = make_step(net, build_optimizer(config.optimizer, net), Precision.of("fp32", CPU), None, Latch(CPU))
    step(images)
    for names, lr in zip(players(net), (1e-3, 1e-2), strict=True):
        for name in names:
            p = net.get_parameter(name)
            expected = lr * (p.grad if optimizer == "sgd" else p.grad.sign() * (p.grad.abs() > 1e-5))
            moved = torch.where((p.grad.abs() > 1e-5) | (optimizer == "sgd"), before[name] - p, 0)
            torch.testing.assert_close(moved, expected, rtol=2e-3, atol=1e-7)
    groups = build_optimizer(config.optimizer, net).param_groups
    if optimizer != "sgd":
        assert [tuple(group["betas"]) for group in groups] == [(0.9, 0.999), (0.5, 0.9)]


def test_each_player_is_clipped_by_its_own_norm(images):
    words = [*SMALL, "optimizer=sgd", "optimizer.lr=1", "optimizer.momentum=0", "model.discriminator_lr=1"]
    config, net = compose(*words), build(*words)
    before = copy.deepcopy(dict(net.named_parameters()))
    make_step(net, build_optimizer(config.optimizer, net), Precision.of("fp32", CPU), 1e-3, Latch(CPU))(images)
    for names in players(net):
        moved = torch.cat([(before[name] - net.get_parameter(name)).flatten() for name in names]).norm()
        assert float(moved.detach()) == pytest.approx(1e-3, rel=1e-3)


def test_a_bad_gradient_of_the_discriminator_stops_both_players(images):
    config, net, latch = compose(*SMALL), build(*SMALL), Latch(CPU)
    step = make_step(net, build_optimizer(config.optimizer, net), Precision.of("fp32", CPU), None, latch)
    step(images)
    good = copy.deepcopy(net.state_dict())
    net.discriminator.layers[0].weight.register_hook(lambda g: g * torch.inf)
    means = step(images)
    assert latch.first_bad == 1 and math.isfinite(means["grad_norm"])
    assert all(torch.equal(value, good[name]) for name, value in net.state_dict().items())


def test_lbfgs_refuses_parts_with_a_learning_rate_of_their_own():
    config = compose("model=ae", "optimizer=lbfgs", "trainer.batch_size=50000")
    with pytest.raises(UserError, match=r"^optimizer=lbfgs: model=factor_vae has parts .* \(discriminator\)"):
        build_optimizer(config.optimizer, build(*SMALL))


def test_two_betas_are_asked_for(aetrain):
    code, _, err = aetrain("model=factor_vae", "model.discriminator_betas=[0.5]")
    assert code == 2 and "model.discriminator_betas=[0.5]: give two numbers" in err and err.count("\n") == 1
