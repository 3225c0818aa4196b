"""Points of the plane, plots and sprites."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from aetrain.pictures.figures import plain
from aetrain.pictures.histogram import histogram
from aetrain.pictures.scatter import COLORS, scatter
from aetrain.pictures.sprite import sprite


def colours(png):
    return {tuple(c) for c in np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3)}


@pytest.mark.parametrize("classes", [["a", "b"], ["_hidden$", "\u4e00$x_"], []])
def test_every_class_has_its_colour(classes):
    points = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
    drawn = colours(scatter(points, np.array([0, 1, -1]), classes, "codes", ("x", "y")))
    rgb = [tuple(int(color[i : i + 2], 16) for i in (1, 3, 5)) for color in COLORS[:2]]
    assert set(rgb) <= drawn  # in the legend, where nothing is translucent


def test_names_are_text():
    assert plain("a\nb") == "a b" and plain("$x$") == r"\$x\$" and plain("x" * 99).endswith("…")


def test_a_histogram_survives_scores_that_are_all_the_same_and_one_far_off():
    same = histogram({"normal": np.zeros(5), "anomalous": np.zeros(0)}, 0.0, "t", "a")
    far = histogram({"normal": np.r_[np.random.default_rng(0).random(999), 1e30]}, 0.5, "t", "a")
    assert len(colours(same)) > 2 and len(colours(far)) > 2


def test_a_sprite_holds_every_image_in_its_place():
    images = torch.rand(5, 1, 2, 3)
    found = sprite(images)
    assert found.shape == (3, 9, 9)  # three places each way, squares of 3
    for i in range(5):
        row, column = divmod(i, 3)
        cell = found[:, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
        assert torch.equal(cell[:, :2], images[i].expand(3, 2, 3)) and not cell[:, 2].any()
