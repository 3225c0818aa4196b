"""Rows cut out of grids again, whatever the size and number of their tiles."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from aetrain.pictures.grids import GAP, grid
from aetrain.sweeps.report.pictures import _row, open_grid


def opened(folder, png, what="traversals"):
    (folder / "grids").mkdir(exist_ok=True)
    (folder / "grids" / f"{what}_0001.png").write_bytes(png)
    return open_grid(SimpleNamespace(folder=folder), what)


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 5, 9), (3, 12, 4), (3, 8, 8)])
def test_rows_of_any_tiles(tmp_path, channels, height, width):
    images = torch.rand(3, 4, channels, height, width, generator=torch.Generator().manual_seed(0))
    found = opened(tmp_path, grid("x", images).png)
    for row in range(3):
        (picture,) = _row(found, row, "label")
        shown = np.array(Image.open(io.BytesIO(picture.png)).convert("RGB"))
        assert shown.shape == (height + 2 * GAP, 4 * (width + GAP) + GAP, 3)
        tile = shown[GAP : GAP + height, GAP : GAP + width]
        wanted = (images[row, 0] * 255).round().byte().permute(1, 2, 0).expand(-1, -1, 3)
        assert np.array_equal(tile, wanted)
    assert _row(found, 3, "label") == []


def test_a_grid_that_does_not_say_has_square_tiles(tmp_path):
    drawn = grid("x", torch.rand(5, 11, 1, 6, 6))
    without = io.BytesIO()
    Image.open(io.BytesIO(drawn.png)).save(without, "PNG", pnginfo=PngInfo())
    found = opened(tmp_path, without.getvalue())
    assert (found.rows, found.columns) == (5, 11)


@pytest.mark.parametrize("text", ["0x4", "4x0", "9999x9999", "a", "3x4x5", "-1x2", "１x１"])
def test_a_layout_that_does_not_fit_is_none_or_square(tmp_path, text):
    layout, png = PngInfo(), io.BytesIO()
    layout.add_itxt("tiles", text)
    Image.new("L", (90, 40)).save(png, "PNG", pnginfo=layout)
    found = opened(tmp_path, png.getvalue())
    assert found is None or (found.rows > 0 and len(_row(found, 0, "x")) == 1)


def test_wide_pictures_are_reduced(tmp_path):
    found = opened(tmp_path, grid("x", torch.zeros(1, 11, 1, 200, 300)).png)
    (picture,) = _row(found, 0, "x")
    assert picture.width == 1200 and picture.height == pytest.approx(204 * 1200 / 3324, abs=1)
