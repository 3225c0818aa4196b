"""Tasks on a model that is given the class of every image."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import aetrain as package
from aetrain.config import stored
from aetrain.data.load import load
from aetrain.errors import UserError
from aetrain.evaluation.scores import likeliest_class, negative_elbo
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


def test_a_manifold_has_a_plane_for_each_class(tmp_path):
    config = package.config(*TINY, "model=cvae", "model.latent_dim=2")
    run = package.train(config, tmp_path / "run").folder
    folder = package.manifold(run, "classes=[3,7,8]", "steps=2").folder
    model, codes = package.load(run), torch.tensor([[-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    codes *= 0.6744898  # quartiles of the prior: the middles of halves
    with torch.no_grad():
        wanted = [model.decode(codes, torch.full((4,), label)) for label in (3, 7, 8)]
    with Image.open(folder / "manifold_only.png") as picture:
        drawn = np.asarray(picture, dtype=float) / 255
    assert drawn.shape == (4 * 28, 4 * 28) and not drawn[56:, 56:].any()  # the fourth place is empty
    for (row, column), images in zip([(0, 0), (0, 56), (56, 0)], wanted, strict=True):
        plane = images[:, 0].unflatten(0, (2, 2)).permute(0, 2, 1, 3).reshape(56, 56).numpy()
        assert abs(drawn[row : row + 56, column : column + 56] - plane).max() < 0.01
    assert (folder / "manifold.png").stat().st_size > 10_000
    assert package.manifold(run, "steps=2", "points=50").metrics["codes_shown"] > 0.5


def test_what_is_exported_takes_the_label(run, monkeypatch):
    """The page's programs run as they stand; a label that is none of the model's gives no image."""
    onnxruntime = pytest.importorskip("onnxruntime")
    folder = package.export(run).folder
    page = (folder / "export.md").read_text()
    assert "| `label` | (batch) | the class, 0 to 9" in page
    assert json.loads((folder / "classes.json").read_text()) == [str(i) for i in range(10)]
    monkeypatch.chdir(folder)
    names: dict = {}
    for program in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(program, names)
    assert names["new"].shape == (16, 1, 28, 28) and names["codes"].shape == (8, 3)
    decoder = onnxruntime.InferenceSession("decoder.onnx", providers=["CPUExecutionProvider"])
    z, y = torch.randn(10, 3), torch.arange(10)
    (images,) = decoder.run(None, {"code": z.numpy(), "label": y.numpy()})
    with torch.no_grad():
        assert np.abs(images - package.load(run).decode(z, y).numpy()).max() < 1e-4
    (images,) = decoder.run(None, {"code": z[:2].numpy(), "label": np.array([3, 10])})
    assert np.isfinite(images[0]).all() and np.isnan(images[1]).all()


def test_the_explorer_is_told_the_classes(run):
    page = (package.explore(run, "n=30").folder / "explore.html").read_text(encoding="utf-8")
    assert '"classesGiven":10' in page and '"kind":"join_label","n":9' in page


def test_an_anomaly_is_judged_by_its_own_class_where_the_model_knows_it(run, caplog):
    with caplog.at_level("INFO"):
        folder = package.anomaly(run, "normal=[3]", "nll_samples=2").folder
    assert "is given each image's own class" in caplog.text
    rows = list(csv.DictReader((folder / "anomaly.csv").read_text().splitlines()))
    model, test = package.load(run), load(stored.read(run / "config.yaml").data, torch.device("cpu")).test
    with torch.no_grad():
        x, y = test.first(40)
        recon = model.reconstruction(x, model.encode(x, y), y)
    assert [float(row["recon"]) for row in rows[:40]] == pytest.approx(recon.tolist(), rel=1e-5)
    assert [row["class"] for row in rows[:40]] == [str(int(label)) for label in y]


def test_an_anomaly_of_another_class_is_judged_by_the_class_that_suits_it_best(tmp_path, caplog):
    words = ("data.classes=[1,7]", "data.limit=null", "trainer.max_steps=100", "trainer.epochs=99",
             "optimizer.lr=0.003", "net.hidden=[32]")  # fmt: skip
    run = package.train(package.config(*TINY, *words, "model=cvae"), tmp_path / "run").folder
    quick = ("nll_samples=2", "data.limit=1000")
    with caplog.at_level("INFO"):
        found = package.anomaly(run, *quick)
    assert "all are judged as of the class with the lowest −ELBO" in caplog.text
    assert found.metrics["auroc_elbo"] > 0.9
    assert {name for name in found.metrics if name.startswith("auroc_elbo/")} == {f"auroc_elbo/{i}" for i in "02345689"}
    again = package.anomaly(run, *quick, "batch_size=7", out=tmp_path / "o").metrics
    assert again == pytest.approx(found.metrics, rel=1e-4)


def test_the_class_that_suits_an_image_best_is_found(run):
    """Of ones that are said to be nothing: the least −ELBO over the classes, and the class that has it."""
    model, x = package.load(run), torch.rand(5, 1, 28, 28)
    with torch.no_grad(), model.noise.fixed(0):
        label, lowest = likeliest_class(model, x, 4)
    with torch.no_grad(), model.noise.fixed(0):
        every = torch.stack([negative_elbo(model, x, torch.full((5,), k), 4) for k in range(10)])
    assert torch.equal(lowest, every.amin(0)) and torch.equal(label, every.argmin(0))


def test_classes_of_the_runs_own_data_may_be_numbers(run):
    """data.classes=[3] on the command line is a list of names."""
    found = package.evaluate(run, "data.classes=[3]", "codes=false", "nll_samples=0").metrics
    other = package.evaluate(run, "data.classes=['3']", "codes=false", "nll_samples=0").metrics
    assert found == other and found["test/kl"] > 0


@pytest.mark.parametrize(
    ("task", "words", "told"),
    [
        ("export", ["split=val"], "unknown key 'split'"),
        ("export", ["data.limit=5"], "needs no images, and draws nothing"),
        ("manifold", [], "needs a code of 2 dimensions, this run's has 3"),
        ("evaluate", ["data.classes=[13]"], "there is no class '13'"),
        ("sample", ["classes=[13]"], "there is no class '13'"),
        ("evaluate", ["data=patches"], "have none; label them"),
        ("sample", ["around=photo.png"], "which a file does not say"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(run, task, words, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (28, 28)).save("photo.png")
    with pytest.raises(UserError, match=told) as caught:
        getattr(package, task)(run, *words)
    assert "\n" not in str(caught.value)


def test_classes_are_not_for_every_model(trained):
    with pytest.raises(UserError, match="model=beta_vae is given no classes; leave it out, or train model=cvae"):
        package.sample(trained, "classes=[3]")
