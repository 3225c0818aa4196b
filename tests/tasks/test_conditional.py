"""Tasks on a model that is given the class of every image."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import aetrain as package
from aetrain.errors import UserError
from tests.tasks.conftest import TINY


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    folder = tmp_path_factory.mktemp("conditional") / "run"
    return package.train(package.config(*TINY, "model=cvae"), folder).folder


@pytest.fixture
def run(conditional, tmp_path):
    return shutil.copytree(conditional, tmp_path / "run")


def test_the_runs_grid_has_a_row_for_each_class(run):
    with Image.open(next((run / "grids").glob("samples_*.png"))) as image:
        assert image.text["tiles"] == "10x8"


def test_samples_are_of_the_classes_that_are_asked_for(run):
    """Sample i of [3,8] is what the model decodes from sample i's code as 3 or 8 in turn."""
    found = package.sample(run, "classes=[3,8]", "n=6", "array=true")
    every = package.sample(run, "classes=[3]", "n=6", "array=true")
    images, threes = (np.load(one.folder / "samples.npy") for one in (found, every))
    assert (images[::2] == threes[::2]).all() and (images[1::2] != threes[1::2]).any(axis=(1, 2, 3)).all()
    with Image.open(found.folder / "samples.png") as image:
        assert image.text["tiles"] == "2x3"


def test_traversals_and_reconstructions_have_rows_for_each_class(run):
    with Image.open(package.traverse(run, "classes=[1,2]", "dims=2", "steps=4").folder / "traversals.png") as image:
        assert image.text["tiles"] == "4x4"
    folder = package.reconstruct(run, "classes=[1,2]", "n=8", "split=val").folder
    with Image.open(folder / "reconstructions.png") as image:
        assert image.text["tiles"] == "4x8"


def test_evaluation_repeats_the_test_and_adds_what_the_likelihoods_tell(run):
    found = package.evaluate(run, "nll_samples=2").metrics
    tested = json.loads((run / "result.json").read_text())["metrics"]
    assert {tag: found[tag] for tag in tested if tag.startswith("test/")} == {
        tag: value for tag, value in tested.items() if tag.startswith("test/")
    }
    assert 0 <= found["test/accuracy_by_likelihood"] <= 1
    assert "test/linear_probe" not in found  # of codes that were made knowing the class


def test_other_images_have_the_labels_of_training(run, tmp_path):
    """Two digits alone, whose labels are then 0 and 1, are evaluated as what they are."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 255, (40, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "all.npz", x_train=images, y_train=np.arange(40) % 10)
    np.savez(tmp_path / "two.npz", x_train=images[3:5], y_train=np.array([3, 4]))
    quick = ("codes=false", "nll_samples=0", "split=all")
    every = package.load(run)
    two = package.evaluate(run, "data=array", f"data.path={tmp_path / 'two.npz'}", *quick).metrics
    with torch.no_grad():
        x = torch.from_numpy(images[3:5])[:, None] / 255
        mu, logvar = every.posterior(x, torch.tensor([3, 4]))
        kl = float(every.prior.kl(mu, logvar, mu).mean())
    assert two["all/kl"] == pytest.approx(kl, rel=1e-5)


@pytest.mark.parametrize(
    ("task", "words", "told"),
    [
        ("anomaly", [], "what is unlike its training images has none of theirs"),
        ("export", [], "the files take an image or a code alone"),
        ("manifold", [], "decodes a code otherwise for each"),
        ("explore", [], "the page asks for none"),
        ("sample", ["classes=[13]"], "there is no class '13'"),
        ("evaluate", ["data=patches"], "have none; label them"),
        ("sample", ["around=photo.png"], "which a file does not say"),
    ],
)
def test_what_needs_no_class_is_refused_in_a_line(run, task, words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (28, 28)).save("photo.png")
    with pytest.raises(UserError, match=told) as caught:
        getattr(package, task)(run, *words)
    assert "\n" not in str(caught.value)


def test_classes_are_not_for_every_model(trained):
    with pytest.raises(UserError, match="model=beta_vae is given no classes; leave it out, or train model=cvae"):
        package.sample(trained, "classes=[3]")
