"""What the weights are before the first step."""

import math

import pytest
import torch
from torch import nn

from tests.conftest import build

LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def layers(*overrides):
    return [layer for layer in build("model=ae", *overrides).modules() if isinstance(layer, LAYERS)]


@pytest.mark.parametrize("net", ["linear", "mlp", "gated", "conv", "residual", "burgess"])
def test_glorot_has_the_variance_of_its_equation_12(net):
    for layer in layers(f"net={net}", "net.init=glorot"):
        weight = layer.weight.detach()
        field = math.prod(weight.shape[2:])
        variance = 2 / (field * (weight.shape[0] + weight.shape[1]))
        spread = 4 * variance * math.sqrt(0.8 / weight.numel())  # a uniform's fourth moment is 1.8 variance²
        assert float(weight.square().mean()) == pytest.approx(variance, abs=spread)
        assert weight.abs().max() <= math.sqrt(3 * variance) and not layer.bias.any()


@pytest.mark.parametrize("net", ["linear", "mlp", "gated", "conv", "residual", "burgess"])
def test_orthogonal_has_singular_values_of_1(net):
    for layer in layers(f"net={net}", "net.init=orthogonal"):
        values = torch.linalg.svdvals(layer.weight.detach().flatten(1))
        torch.testing.assert_close(values, torch.ones_like(values), rtol=0, atol=1e-4)
        assert not layer.bias.any()


def test_the_default_is_torchs_and_the_output_bias_stays_the_data_s():
    assert all(torch.equal(a.weight, b.weight) for a, b in zip(layers(), layers("net.init=default"), strict=True))
    one, other = (build("model=vae", "model.output_bias=data", f"net.init={init}") for init in ("default", "glorot"))
    assert torch.equal(one.decoder.output_bias, other.decoder.output_bias)
