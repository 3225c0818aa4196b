"""Scores on codes of which it is known what they are worth (the cases of disentanglement_lib's own tests)."""

import math

import pytest
import torch

from aetrain.data.shapes import load
from aetrain.evaluation.disentanglement import dci, disentanglement, mig, of_model, sap
from aetrain.evaluation.interventions import Fixed
from tests.conftest import build, compose

FACTORS, N = 10, 2000


@pytest.fixture(scope="module")
def factors():
    return torch.randint(0, 10, (N, FACTORS), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def perfect(factors):
    return disentanglement(factors.double(), factors, seed=0)


def test_factors_as_codes_are_perfect(perfect):
    assert perfect.keys() == {"mig", "sap", "dci_disentanglement", "dci_completeness", "dci_informativeness",
                              "beta_vae_score", "factor_vae_score"}  # fmt: skip
    assert min(perfect.values()) >= 0.9


def test_codes_that_hold_nothing_are_worth_nothing(factors):
    assert max(disentanglement(torch.zeros(N, FACTORS), factors, seed=0).values()) <= 0.2


def test_each_factor_twice(factors):
    five = factors[:, :5]
    twice = torch.cat([five, five], dim=1).double()  # ten dimensions, of which two share each factor's importance
    assert mig(twice, five) <= 0.1
    assert sap(twice, five, seed=0) <= 0.1
    found = dci(twice, five, seed=0)
    assert found["disentanglement"] >= 0.9
    assert found["completeness"] == pytest.approx(1 - math.log(2) / math.log(10), abs=0.02)


def test_a_pair_that_is_rotated_lowers_every_score_of_single_dimensions(factors, perfect):
    turned = factors.double()
    angle = torch.tensor([[math.cos(0.6), -math.sin(0.6)], [math.sin(0.6), math.cos(0.6)]], dtype=torch.float64)
    turned[:, :2] = turned[:, :2] @ angle.T
    found = disentanglement(turned[:, :5], factors[:, :5], seed=0)
    assert found["mig"] < perfect["mig"] - 0.1
    for name in ("sap", "dci_disentanglement", "dci_completeness"):
        assert found[name] < perfect[name] - 0.05, name


def test_the_order_sign_and_scale_of_the_dimensions_do_not_matter(factors, perfect):
    scale = torch.tensor([-3.0, 1.0, 0.1, -0.01, 2.0, 5.0, -1.0, 1.0, 1.0, 1.0]).double()
    codes = (factors * scale + 4)[:, torch.randperm(FACTORS, generator=torch.Generator().manual_seed(1))]
    assert mig(codes, factors) == pytest.approx(perfect["mig"], abs=0.01)
    assert sap(codes, factors, seed=0) == pytest.approx(perfect["sap"], abs=0.01)


def test_mig_of_a_factor_told_in_half():
    """z says whether v < 2 of four values: I = ln 2, H = ln 4."""
    v = torch.arange(4000)[:, None] % 4
    assert mig((v < 2).double(), v) == pytest.approx(0.5, abs=1e-6)


def test_a_categorical_factor_is_told_by_thresholds_not_by_a_line():
    """Three values that the code has in another order."""
    v = torch.arange(3000)[:, None] % 3
    z = torch.tensor([1.0, 2.0, 0.0])[v]
    assert sap(z, v, seed=0) == pytest.approx(0.25)  # R² of (0, 1, 2) and (1, 2, 0)
    assert sap(z, v, seed=0, categorical=[0]) == pytest.approx(2 / 3)
    assert dci(z, v, seed=0, categorical=[0])["informativeness"] == 1


def test_a_factor_that_never_changes_is_left_out(factors):
    v = torch.cat([factors[:, :2], torch.full((N, 1), 3)], dim=1)
    found = disentanglement(v.double(), v, seed=0)
    assert all(math.isfinite(value) for value in found.values()) and found["mig"] > 0.9
    assert disentanglement(torch.rand(5, 2), torch.ones(5, 1, dtype=torch.int64), seed=0) == {}


def test_images_are_drawn_with_a_factor_fixed_and_the_others_free(factors):
    draw = Fixed(factors, seed=0)
    rows = draw.alike(3, 500)
    assert len(factors[rows, 3].unique()) == 1 and len(factors[rows, 4].unique()) == 10
    first, second = draw.pairs(3, 500)
    assert torch.equal(factors[first, 3], factors[second, 3]) and len(factors[first, 3].unique()) == 10
    assert not torch.equal(factors[first, 4], factors[second, 4])


def test_a_model_is_scored_on_images_made_from_factors():
    """An encoder whose code is where a square's centre of mass lies, where nothing else changes."""
    alone = ("data.shapes=[square]", "data.scales=1", "data.orientations=1", "data.columns=20", "data.rows=20")
    split = load(compose("data=shapes", "data.size=32", "data.val_size=0", "data.test_size=1", *alone).data)["train"]
    net = build("model=ae", "net=linear", "model.latent_dim=2", "model.code_activation=identity",
                image_shape=split.image_shape)  # fmt: skip
    place = torch.linspace(-1, 1, 32)
    with torch.no_grad():
        net.encoder.layers[0].weight[0] = place.expand(32, 32).flatten()
        net.encoder.layers[0].weight[1] = place.view(32, 1).expand(32, 32).flatten()
        net.encoder.layers[0].bias.zero_()
    found = of_model(net, split, ("shape", "scale", "orientation", "x", "y"), seed=0)
    assert min(found.values()) > 0.85
    assert of_model(net, split, (), seed=0) == {}
