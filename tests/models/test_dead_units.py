"""The auxiliary loss that brings dead units back."""

import numpy as np
import pytest
import torch

from aetrain.data.load import load
from aetrain.device import Precision
from aetrain.errors import UserError
from aetrain.training.step import make_step
from tests.conftest import build, compose

CPU = torch.device("cpu")
TOPK = ["model=sparse", "model.penalty=topk", "model.k=2", "model.latent_dim=7", "model.tied=false"]


def test_aux_is_what_the_largest_dead_units_leave_of_the_residual(float64, images):
    """By loops, with three dead units of which each image takes two."""
    net, x = build(*TOPK, "model.k_aux=2", "model.dead_after=100").eval(), images[:4].double()
    net.idle.images.copy_(torch.tensor([0, 100, 99, 500, 0, 100, 0]))
    with torch.no_grad():
        found, activations = net(x)["aux"].numpy(), net.encoder(x).numpy()
        x_hat = net.reconstruct(x).flatten(1).numpy()
    columns = net.decoder.layers[0].weight.detach().numpy()  # (pixels, D)
    for b in range(4):
        taken = sorted([1, 3, 5], key=lambda unit: -activations[b, unit])[:2]
        left = x[b].flatten().numpy() - x_hat[b] - sum(activations[b, unit] * columns[:, unit] for unit in taken)
        assert found[b] == pytest.approx((left**2).sum())
    net.idle.images.zero_()
    assert net(x)["aux"].tolist() == [0.0] * 4  # nobody is dead


def test_only_dead_units_learn_by_it(float64, images):
    net, x = build(*TOPK, "model.k_aux=3", "model.dead_after=100").eval(), images[:4].double()
    net.idle.images.copy_(torch.tensor([0, 100, 99, 500, 0, 0, 0]))
    net(x)["aux"].sum().backward()
    for gradient in (net.encoder.layers[0].weight.grad, net.decoder.layers[0].weight.grad.T):
        assert gradient.abs().sum(1).ne(0).tolist() == [False, True, False, True, False, False, False]


def test_images_since_a_unit_was_active_are_counted_in_training(images):
    net, expected = build(*TOPK, "model.k_aux=1", "model.dead_after=100"), np.zeros(7, int)
    for batch in images.split(16):
        active = (net.encode(batch) != 0).any(0).numpy()
        expected = np.where(active, 0, expected + 16)
        net(batch)
    net.eval()(images)
    assert net.idle.images.tolist() == expected.tolist()


def test_fewer_units_are_dead_with_it():
    x, dead, recon = load(compose("data.limit=2000").data, CPU).train.first(2000).x, [], []
    for words in ([], ["model.k_aux=32", "model.dead_after=500", "model.aux_weight=0.1"]):
        net = build(*TOPK, "model.k=5", "model.latent_dim=128", *words)
        step = make_step(net, torch.optim.Adam(net.parameters(), 2e-3), Precision.of("fp32", CPU))
        order = torch.Generator().manual_seed(0)
        for _ in range(100):
            step(x[torch.randint(0, 2000, (100,), generator=order)])
        with torch.no_grad():
            dead.append(int(net.eval().diagnostics(net.latents(x))["dead_units"]))
            recon.append(float(net(x)["recon"].mean()))
    assert dead[1] < 0.8 * dead[0] and recon[1] < recon[0]


def test_without_it_a_model_is_what_it_was():
    assert not [name for name in build(*TOPK).state_dict() if "idle" in name]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["model.k_aux=8"], "the code has only model.latent_dim=7 units"),
        (["model.k_aux=2", "net=mlp"], "model.k_aux=2: .* give net=linear"),
        (["model.k_aux=2", "model.likelihood=bernoulli"], "model.k_aux=2: .* model.likelihood=squared_error"),
    ],
)
def test_what_does_not_add_up_is_refused(words, told):
    with pytest.raises(UserError, match=told):
        build(*TOPK, *words)
