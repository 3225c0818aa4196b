"""WAE: the discrepancy against double loops, its size where it is known, and what stands without a posterior."""

import json

import numpy as np
import pytest
import torch

from aetrain.errors import UserError
from aetrain.models.wae import SCALES, mmd
from tests.conftest import build, compose


def kernel(a, b):
    constants = [2 * len(a) * scale for scale in SCALES]
    return sum(c / (c + float(np.sum((a - b) ** 2))) for c in constants)


@pytest.mark.parametrize("n", [2, 3, 17])
def test_mmd_is_the_papers_double_loop(n, float64):
    torch.manual_seed(0)
    z, prior = 2 * torch.randn(n, 3) + 1, torch.randn(n, 3)
    pairs = [(i, j) for i in range(n) for j in range(n)]
    expected = sum(kernel(z[i].numpy(), z[j].numpy()) for i, j in pairs if i != j) / (n * (n - 1))
    expected += sum(kernel(prior[i].numpy(), prior[j].numpy()) for i, j in pairs if i != j) / (n * (n - 1))
    expected -= 2 * sum(kernel(z[i].numpy(), prior[j].numpy()) for i, j in pairs) / n**2
    assert float(mmd(z, prior).mean()) == pytest.approx(expected)


def test_of_equal_samples_only_the_diagonal_is_left(float64):
    """The biased estimate of equal samples is 0. The unbiased one leaves out k(z, z), the kernel's largest value: it is
    −2 (k(z, z) − the mean of k over pairs) / B."""
    z = torch.randn(40, 4)
    distance = (z.unsqueeze(1) - z).square().sum(2)
    k = sum(8 * scale / (8 * scale + distance) for scale in SCALES)
    pairs = (k.sum() - k.trace()) / (40 * 39)
    assert float(mmd(z, z).mean()) == pytest.approx(float(-2 * (len(SCALES) - pairs) / 40))


def test_it_is_unbiased_at_zero_and_grows_with_the_distance(float64):
    torch.manual_seed(0)
    draws = torch.stack([mmd(torch.randn(50, 4), torch.randn(50, 4)).mean() for _ in range(300)])
    assert abs(draws.mean()) < 4 * draws.std() / 300**0.5
    prior = torch.randn(400, 4)
    sizes = [float(mmd(torch.randn(400, 4) + shift, prior).mean()) for shift in (0, 0.5, 1, 3, 1e6)]
    assert sizes == sorted(sizes) and sizes[-1] < 2 * len(SCALES)


def test_many_images_are_worked_off_in_portions(monkeypatch, float64):
    z, prior = torch.randn(30, 4), torch.randn(30, 4)
    whole = mmd(z, prior)
    monkeypatch.setattr("aetrain.aggregate.IN_CACHE", 7 * 30 * 4)
    torch.testing.assert_close(mmd(z, prior), whole)


def test_training_brings_the_codes_to_the_prior_where_an_autoencoder_leaves_them(float64):
    torch.manual_seed(0)
    images, found = (torch.randn(64, 2) @ torch.randn(2, 784)).sigmoid().view(64, 1, 28, 28), {}
    for weight in (0, 200):
        net = build("model=wae", "model.latent_dim=2", "net.hidden=[30]", f"model.mmd_weight={weight}")
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)
        torch.manual_seed(0)
        for _ in range(150):
            optimizer.zero_grad()
            net(images)["loss"].mean().backward()
            optimizer.step()
        with torch.no_grad():
            codes = net.encode(images)
            found[weight] = float(mmd(codes, torch.randn(len(codes), 2)).mean())
    assert found[200] < found[0] / 4 and found[0] > 0.2, found


def test_a_gaussian_encoder_draws_and_has_a_posterior(images):
    net = build("model=wae", "model.encoder=gaussian", "model.latent_dim=3")
    mu, logvar = net.posterior(images)
    torch.manual_seed(1)
    z = net.draw_code(images)
    torch.manual_seed(1)
    torch.testing.assert_close(z, mu + torch.exp(0.5 * logvar) * torch.randn(64, 3))
    assert torch.equal(net.encode(images), mu)


def test_without_one_the_refusal_is_a_line(images):
    with pytest.raises(
        UserError, match=r"model=wae: has no posterior with model\.encoder=deterministic, take gaussian$"
    ):
        build("model=wae").posterior(images)


def test_its_weight_is_warmed_up_by_default_and_the_advice_on_a_collapse_knows_it():
    schedule = compose("model=wae").model.schedule.mmd_weight
    assert (schedule.kind, schedule.start, schedule.length) == ("linear", 0, 0.1)
    assert "a longer warm-up (model.schedule.mmd_weight.length)" in build("model=wae").after_collapse()
    assert "or a warm-up (" in build("model=wae", "model.schedule.mmd_weight.kind=constant").after_collapse()


@pytest.mark.longer
@pytest.mark.parametrize(("schedule", "active"), [("{kind:constant}", 0), ("{kind:linear,length:0.3}", 8)])
def test_a_warm_up_brings_convolutions_and_a_gaussian_encoder_to_tell_images_apart(schedule, active, once):
    """Without one, draws that follow the prior from the start cost nothing, and stay as they are."""
    folder = once("experiment=wae", "model.encoder=gaussian", "net.channels=[32,64]", "data.limit=20000",
                  "trainer.epochs=1", "device=cpu", f"model.schedule.mmd_weight={schedule}")  # fmt: skip
    assert json.loads((folder / "result.json").read_text())["metrics"]["test/active_units"] == active
