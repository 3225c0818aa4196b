"""The image grids: what each tile shows."""

import io
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from aetrain.models.vae import correlation
from aetrain.pictures.bars import bars
from aetrain.pictures.curves import COLOURS, HEIGHT, LEFT, RIGHT, WIDTH, curves, padded, ticks
from aetrain.pictures.filters import filters
from aetrain.pictures.grids import GAP, grid, labelled, whole_rows
from aetrain.pictures.traversals import traversals
from aetrain.sweeps.report.pictures import open_grid
from aetrain.sweeps.report.read import Member
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


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 16), (1, 90)])
def test_the_report_gets_the_tiles_back_from_a_grid_with_labels(tmp_path, channels, size):
    images = torch.rand(3, 4, channels, size, size, generator=torch.Generator().manual_seed(0))
    drawn = labelled("reconstructions", images, "Some words. " * 20, ["a", "a longer label"] * 2)
    folder = tmp_path / "run" / "grids"
    folder.mkdir(parents=True)
    (folder / "reconstructions_0001.png").write_bytes(drawn.png)
    found = open_grid(Member(tmp_path / "run"), "reconstructions")
    assert torch.equal(torch.from_numpy(np.array(found.image)), pixels(grid("x", images)))
    assert (drawn.height, drawn.width) == pixels(drawn).shape[:2] and drawn.width >= 84 * 4


def test_grids_of_small_images_are_enlarged_at_least_three_times():
    drawn = labelled("samples", torch.rand(64, 1, 28, 28), "words")
    assert drawn.width == 8 * (3 * 28 + GAP) + GAP


def test_bars_stand_in_the_order_of_the_dimensions():
    png, height, width = bars([0.0, 2.0, 1.0], "KL")
    shown = np.array(Image.open(io.BytesIO(png)))
    heights = [int((shown[:, 22 + 18 * i + 6][40:] == 90).sum()) for i in range(3)]
    assert shown.shape == (height, width) and heights[1] > 1.9 * heights[2] > 100 and heights[0] <= 2


def test_curves_are_drawn_for_every_term():
    rows = [{"epoch": 1.0, "step": 5.0, "train/loss": 3.0, "val/loss": 4.0, "val/kl": 1.0},
            {"epoch": 2.0, "step": 9.0, "train/loss": 2.0, "val/kl": 1.5}]  # fmt: skip
    with Image.open(io.BytesIO(curves(rows))) as image:
        shown = np.array(image.convert("RGB"))
    plots = [shown[:, WIDTH * i + LEFT + 2 : WIDTH * (i + 1)] for i in range(2)]
    assert shown.shape == (HEIGHT, 2 * WIDTH, 3)
    assert [has_colour(plot, COLOURS["train"]) for plot in plots] == [True, False]  # kl is of validation alone
    assert [has_colour(plot, COLOURS["val"]) for plot in plots] == [True, True]


def has_colour(image, colour):
    return bool((image == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(2).any())


def test_a_curve_falls_where_its_term_does():
    rows = [{"epoch": epoch, "train/loss": value} for epoch, value in ((1.0, 9.0), (2.0, math.nan), (3.0, 5.0))]
    with Image.open(io.BytesIO(curves(rows))) as image:
        shown = np.array(image.convert("RGB"))
    grey = [int(COLOURS["train"][i : i + 2], 16) for i in (1, 3, 5)]
    heights, across = np.nonzero((shown == grey).all(2)[:, LEFT : WIDTH - RIGHT - 60])  # left of the legend
    assert np.corrcoef(heights, across)[0, 1] > 0.98


@pytest.mark.parametrize(
    ("low", "high", "written"),
    [
        (0.9, 3.1, ["1", "2", "3"]),
        (0.95, 12.55, ["2", "4", "6", "8", "10", "12"]),
        (12.000021, 12.00011, ["12.00004", "12.00006", "12.00008", "12.00010"]),
        (-4e6, 3e7, ["0", "1e+07", "2e+07", "3e+07"]),
    ],
)
def test_ticks_are_round_and_told_apart(low, high, written):
    assert [text for _, text in ticks(low, high, least=1 if high in (3.1, 12.55) else 0)] == written


def test_a_term_that_stays_has_room_around_it():
    assert padded(20.0, 20.0) == (19.0, 21.0) and padded(0.0, 0.0) == (-1.0, 1.0) and padded(0.0, 1.0) == (-0.05, 1.05)


def test_a_plane_of_codes_is_drawn_at_the_end(small_run):
    run = small_run("model=beta_vae", "model.latent_dim=2", "trainer.epochs=2", "trainer.max_steps=8",
                    "data.val_size=100")  # fmt: skip
    assert (run / "grids" / "codes_0002.png").is_file() and (run / "curves.png").is_file()
    latent = json.loads((run / "result.json").read_text())["latent"]
    assert np.array(latent["correlation"]).shape == (2, 2)
    assert latent["correlation"][0][0] == pytest.approx(1) and len(latent["kl_per_dimension"]) == 2


def test_the_correlation_of_means_is_numpys():
    mu = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    mu[:, 2] = mu[:, 0] + 0.1 * mu[:, 1]
    torch.testing.assert_close(correlation(mu), torch.from_numpy(np.corrcoef(mu.double().numpy().T)))
    mu[:, 3] = 7.0  # a dimension that says nothing
    assert correlation(mu)[3].eq(0).all()
