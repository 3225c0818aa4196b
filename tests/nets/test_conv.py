"""Networks with convolutions: shapes, and what they are made of."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from aetrain.config.stored import modern
from aetrain.errors import UserError
from aetrain.nets import build_decoder, build_encoder
from aetrain.nets.conv import ConvEncoder
from aetrain.nets.norm import norm
from aetrain.nets.residual import doubled
from tests.conftest import build, compose

SHAPES = [(1, 28, 28), (3, 37, 50), (1, 8, 9)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "words",
    [["net=conv", f"net.kernel={kernel}", f"net.stride={stride}", "net.channels=[3,4]"]
     for kernel, stride in ((1, 1), (3, 1), (2, 2), (3, 2), (4, 2), (5, 2), (3, 3), (4, 3), (8, 4), (5, 4))]
    + [["net=residual", "net.channels=[4,6]"], ["net=burgess"], ["net=conv", "net.hidden=[7,5]"]],
    ids=" ".join,
)  # fmt: skip
def test_images_of_any_size_come_back_at_their_size(words, shape):
    config = compose(*words).net
    x = torch.rand(2, *shape)
    assert build_encoder(config, shape, 5)(x).shape == (2, 5)
    assert build_decoder(config, 5, shape)(torch.zeros(2, 5)).shape == x.shape


def test_todays_defaults_are_the_networks_before_them_to_the_bit():
    """Two 4x4 convolutions of stride 2 and a linear layer, drawn in this order from the same seed."""
    config = compose("net=conv").net
    torch.manual_seed(0)
    ours, back = build_encoder(config, (1, 28, 28), 20), build_decoder(config, 10, (1, 28, 28))
    torch.manual_seed(0)
    first, second = nn.Conv2d(1, 32, 4, 2, 1), nn.Conv2d(32, 64, 4, 2, 1)
    head, body = nn.Linear(64 * 7 * 7, 20), nn.Linear(10, 64 * 7 * 7)
    up, last = nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ConvTranspose2d(32, 1, 4, 2, 1)
    x, z = torch.rand(3, 1, 28, 28), torch.randn(3, 10)
    assert torch.equal(ours(x), head(F.relu(second(F.relu(first(x)))).flatten(1)))
    assert torch.equal(back(z), last(F.relu(up(F.relu(body(z).unflatten(1, (64, 7, 7)))))))
    assert list(ours.state_dict()) == [f"{part}.{kind}" for part in ("convs.0", "convs.1", "head")
                                       for kind in ("weight", "bias")]  # fmt: skip


def test_a_stored_network_of_before_has_todays_keys():
    tree = {group: {"name": ""} for group in ("model", "data", "device", "optimizer", "task", "trainer")}
    old = {"name": "conv", "channels": [32, 64], "activation": "relu"}
    assert modern(tree | {"net": old})["net"] == vars(compose("net=conv").net)


@pytest.mark.parametrize(("side", "convolutions"), [(64, 4), (32, 3)])
def test_burgess_is_what_the_paper_says(side, convolutions):
    """32 channels, 4x4, down to 4x4, and two layers of 256 (appendix A.1); counted by hand for one channel and ten
    numbers out: 544 + 16,416 for each further convolution, 512·256 + 256·256 + 2·256, 10·256 + 10."""
    encoder = build_encoder(compose("net=burgess").net, (1, side, side), 10)
    assert isinstance(encoder, ConvEncoder) and len(encoder.convs) == convolutions
    assert [(c.out_channels, c.kernel_size, c.stride) for c in encoder.convs] == [(32, (4, 4), (2, 2))] * convolutions
    assert [layer.out_features for layer in encoder.hidden] == [256, 256]
    expected = 544 + 16_416 * (convolutions - 1) + 512 * 256 + 256 * 256 + 2 * 256 + 2570
    assert sum(p.numel() for p in encoder.parameters()) == expected


def test_a_pixel_becomes_a_square_of_four():
    x = torch.arange(12.0).view(1, 2, 2, 3)
    assert torch.equal(doubled(x), F.interpolate(x, scale_factor=2, mode="nearest"))


@pytest.mark.parametrize(("channels", "groups"), [(64, 32), (32, 16), (48, 16), (6, 2), (3, 1), (1, 1)])
def test_groups_hold_two_channels_at_least(channels, groups):
    assert norm("group", channels).num_groups == groups


@pytest.mark.parametrize("words", [["net=residual", "net.channels=[4]"], ["net=conv", "net.norm=group"]], ids=" ".join)
def test_what_becomes_of_an_image_depends_on_no_other(words, images, float64):
    net = build("model=vae", *words)
    x = images[:6].double()
    torch.testing.assert_close(net.reconstruct(x)[:2], net.reconstruct(x[:2]))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["net.norm=batch"], "must not depend on the others beside it; give net.norm=group"),
        (["net.kernel=1"], "net.kernel=1: with net.stride=2 it would skip pixels; give at least 2"),
        (["net.kernel=4", "net.stride=1"], "with net.stride=1 it must be odd, as 5"),
        (["net.channels=[]"], "net.channels"),
    ],
)
def test_what_cannot_be_is_told(words, told):
    with pytest.raises(UserError, match=told.replace("[", r"\[")):
        compose("net=conv", *words)
