"""How the code answers the image: against linear encoders, whose answer is their weights."""

import math

import pytest
import torch

from aetrain.evaluation.dimensions import dimensions
from aetrain.evaluation.perturbations import field, robustness, singular_values
from aetrain.evaluation.response import hoyer, jacobian_norm
from tests.conftest import build, unlabelled


@pytest.fixture
def linear(float64):
    model = build("model=ae", "net=linear", "model.latent_dim=5", "model.code_activation=identity",
                  "model.output=identity", "model.likelihood=squared_error")  # fmt: skip
    return model.double()


def test_the_jacobian_of_a_linear_encoder_is_its_weight(linear, images):
    weight, split = linear.encoder.layers[0].weight.detach(), unlabelled(images.double())
    assert jacobian_norm(linear, split) == pytest.approx(float(weight.norm()))
    assert torch.allclose(singular_values(linear, split, 4), torch.linalg.svdvals(weight))


def test_changes_of_a_linear_code_are_those_of_the_noise(linear, images):
    """‖W ε‖² is size² ‖W‖² on average; ten times the noise, ten times the change."""
    split, weight = unlabelled(images.double()), linear.encoder.layers[0].weight.detach()
    z = linear.encode(split.images).detach()
    wanted = 0.1 * float(weight.norm()) / math.sqrt(float(z.var(0, correction=0).sum()))
    found = robustness(linear, split, 0.1, seed=0)
    assert found["code_change"] == pytest.approx(wanted, rel=0.2)
    larger = robustness(linear, split, 1.0, seed=0)
    assert larger["code_change"] == pytest.approx(10 * found["code_change"])
    assert larger["recon_change"] == pytest.approx(10 * found["recon_change"])


def test_the_field_of_the_identity_is_zero_and_a_contraction_points_inwards():
    like = torch.zeros(1)
    points, arrows = field(lambda x: x, 5, like)
    assert points.shape == (25, 2) and (arrows == 0).all()
    _, arrows = field(lambda x: 0.5 + 0.5 * (x - 0.5), 5, like)
    assert torch.allclose(arrows, 0.5 * (0.5 - points))


def test_sparsity_is_0_for_equal_numbers_and_1_for_one_alone():
    codes = torch.tensor([[1.0, -1, 1, -1], [0, 0, 3, 0], [0, 0, 0, 0], [1, 1, 0, 0]])
    assert hoyer(codes).tolist() == pytest.approx([0, 1, 1, 2 - math.sqrt(2)], abs=1e-6)
    assert hoyer(torch.ones(3, 1)).tolist() == [0, 0, 0]


def test_dimensions_by_kl_and_variance(images):
    model = build("model=vae", "model.latent_dim=3")
    with torch.no_grad():
        known, (mu, logvar) = dimensions(model, unlabelled(images)), model.posterior(images)
    kl = (0.5 * (mu**2 + logvar.exp() - 1 - logvar)).mean(0)
    assert torch.allclose(known.kl, kl.double(), atol=1e-6)
    assert known.order("kl") == kl.argsort(descending=True).tolist()
    assert known.order("variance") == mu.var(0).argsort(descending=True).tolist()
    assert known.order("index") == [0, 1, 2]
