"""aetrain retrieve."""

import csv

import numpy as np
import pytest
from PIL import Image

import aetrain as package
from aetrain.data import mnist
from aetrain.errors import UserError
from tests.tasks.conftest import TINY


def rows_of(folder):
    return list(csv.DictReader((folder / "neighbours.csv").read_text().splitlines()))


def test_precision_is_that_of_the_table(trained, tmp_path):
    done = package.retrieve(trained, "k=3", out=tmp_path / "o")
    rows = rows_of(tmp_path / "o")
    assert len(rows) == 3 * 300
    right = np.mean([row["class"] == row["neighbour_class"] for row in rows])
    assert done.metrics["precision_at_3"] == pytest.approx(right) and right > done.metrics["precision_by_chance"]
    distances = np.array([float(row["distance"]) for row in rows]).reshape(300, 3)
    assert (np.diff(distances) >= 0).all()


def test_an_image_is_not_its_own_neighbour_but_finds_itself_among_others(trained, tmp_path):
    package.retrieve(trained, "k=1", "among=test", out=tmp_path / "own")
    assert all(row["neighbour"] != row["filename"] for row in rows_of(tmp_path / "own"))
    pixels = mnist.load(package.config(*TINY).data)["test"].images[5, 0].numpy()
    (tmp_path / "photos").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos" / "five.png")
    package.retrieve(trained, "k=1", "among=test", "data=folder", f"data.path={tmp_path / 'photos'}",
                     out=tmp_path / "other")  # fmt: skip
    (row,) = rows_of(tmp_path / "other")
    assert (row["filename"], row["neighbour"]) == ("five.png", "5") and float(row["distance"]) < 1e-5


def test_more_neighbours_than_images(trained):
    with pytest.raises(UserError, match=r"k=400: there are 300 images in among=train"):
        package.retrieve(trained, "k=400")
