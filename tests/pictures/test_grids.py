"""The image grids: what each tile shows."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from aetrain.pictures.filters import filters
from aetrain.pictures.grids import GAP, grid, whole_rows
from aetrain.pictures.traversals import traversals
from tests.conftest import build


def pixels(drawn):
    """(H, W, 3) of a grid's PNG."""
    return torch.from_numpy(np.array(Image.open(io.BytesIO(drawn.png)).convert("RGB")))


def test_a_traversal_changes_one_dimension_of_the_code(images):
    model = build("model=vae", "model.latent_dim=5").eval()
    image = images[:1]
    with torch.no_grad():
        shown = traversals(model, image)
        code = model.encode(image)
        for j, k, value in [(0, 0, -3.0), (2, 5, 0.0), (4, 8, 1.8)]:
            z = code.clone()
            z[0, j] = value
            torch.testing.assert_close(shown[j, k], model.decode(z)[0])
    assert shown.shape == (5, 11, 1, 28, 28)


def test_at_most_32_dimensions_are_traversed(images):
    model = build("model=vae", "model.latent_dim=40").eval()
    with torch.no_grad():
        assert len(traversals(model, images[:1])) == 32


@pytest.mark.parametrize(("units", "shown"), [(100, 64), (20, 16), (5, 5)])
def test_filters_are_the_first_units_scaled_about_grey(units, shown):
    weight = torch.randn(units, 12, generator=torch.Generator().manual_seed(0))
    weight[1] = 0
    result = filters(whole_rows(weight[:64]), (1, 3, 4))
    assert result.shape == (shown, 1, 3, 4) and bool((result[1] == 0.5).all())
    assert result.min() >= 0 and result.max() <= 1
    extremes = (result.flatten(1) - 0.5).abs().amax(1)
    torch.testing.assert_close(extremes[[0, 2, 3, 4]], torch.full((4,), 0.5))
    torch.testing.assert_close(result[0].flatten() - 0.5, 0.5 * weight[0] / weight[0].abs().max())


@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_stand_in_rows_two_pixels_apart(channels):
    images = torch.rand(3, 4, channels, 5, 6, generator=torch.Generator().manual_seed(0))
    drawn = grid("x", images)
    shown = pixels(drawn)
    assert shown.shape == (3 * (5 + GAP) + GAP, 4 * (6 + GAP) + GAP, 3) == (drawn.height, drawn.width, 3)
    for r in range(3):
        for c in range(4):
            top, left = GAP + r * (5 + GAP), GAP + c * (6 + GAP)
            tile = shown[top : top + 5, left : left + 6].permute(2, 0, 1)
            assert torch.equal(tile, (images[r, c] * 255).round().to(torch.uint8).expand(3, -1, -1))
            shown[top : top + 5, left : left + 6] = 128
    assert bool((shown == 128).all())
