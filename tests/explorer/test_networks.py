"""The steps that the page follows are what the model computes."""

import pytest
import torch

from aetrain.errors import RunFailed, UserError
from aetrain.explorer.networks import activated, follow, networks, precision
from tests.conftest import build
from tests.explorer.pages import lively

SHAPE = (3, 9, 14)  # sides that convolutions pad and crop
NONE = torch.zeros(20, dtype=torch.int64)  # labels, of which these models take none


def test_weights_are_stored_in_half_precision_where_that_cannot_be_seen(float64):
    torch.set_default_dtype(torch.float32)
    model = build("model=vae", "net=mlp", image_shape=SHAPE)
    x, z = torch.rand(20, *SHAPE), torch.randn(20, 20)
    assert precision(model, networks(model), x, z, NONE) == torch.float16
    with torch.no_grad():
        model.encoder.layers[0].weight.mul_(300)
    assert precision(model, networks(model), x, z, NONE) == torch.float32


def test_half_precision_is_within_the_tolerances():
    model = lively("model=vae", "net=conv", image_shape=SHAPE)
    x, z = torch.rand(20, *SHAPE), torch.randn(20, 20)
    found = networks(model)
    dtype = precision(model, found, x, z, NONE)
    more, further = torch.rand(200, *SHAPE), 1.5 * torch.randn(200, 20)
    with torch.no_grad():
        code = follow(found.encoder, more.flatten(1), NONE, dtype)[:, :20]
        image = activated(found.link, follow(found.decoder, further, NONE, dtype)).view(-1, *SHAPE)
        assert (code - model.encode(more)).abs().max() < 1e-2
        assert (image - model.decode(further)).abs().max() < 2e-3


def test_a_model_that_computes_in_another_way_is_refused():
    model = build("model=ae", "net=mlp", image_shape=SHAPE)
    found, x = networks(model), torch.rand(5, *SHAPE)
    inner = model.encode
    model.encode = lambda x, y=None: 1.1 * inner(x, y)
    with pytest.raises(RunFailed, match="something else than the model"):
        precision(model, found, x, inner(x), NONE)
    model.encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 9 * 14, 32))
    with pytest.raises(UserError, match="linear, mlp, gated, conv, residual"):
        networks(model)


def test_weights_that_are_not_finite_are_refused():
    model = build("model=ae", "net=mlp", image_shape=SHAPE)
    with torch.no_grad():
        model.decoder.output_bias[0] = torch.nan
    with pytest.raises(RunFailed, match="not finite"):
        precision(model, networks(model), torch.rand(5, *SHAPE), torch.rand(5, 32), NONE)
