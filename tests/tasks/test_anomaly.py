"""aetrain anomaly."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

import aetrain as package
from aetrain.errors import UserError
from tests.tasks.conftest import TINY

ONES = ["data.classes=[1]", "data.val_size=0.05", "trainer.max_steps=75", "trainer.epochs=99", "optimizer.lr=0.003",
        "net.hidden=[32]"]  # fmt: skip


@pytest.fixture(scope="module")
def ones(tmp_path_factory):
    """A VAE that has seen ones alone."""
    return package.train(package.config(*TINY, *ONES, "model=vae"), tmp_path_factory.mktemp("ones") / "run").folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A stroke, and its negative."""
    folder, stroke = tmp_path_factory.mktemp("photos"), np.zeros((28, 28), dtype=np.uint8)
    stroke[4:24, 13:16] = 255
    Image.fromarray(stroke).save(folder / "one.png")
    Image.fromarray(255 - stroke).save(folder / "odd.png")
    return folder


WORDS = ("nll_samples=2", "score=recon", "false_alarms=0.1", "shown=3")


@pytest.fixture(scope="module")
def judged(ones):
    """Its own images, judged: the result lies in the run."""
    return package.anomaly(ones, *WORDS)


def rows_of(folder):
    return list(csv.DictReader((folder / "anomaly.csv").read_text().splitlines()))


def test_other_digits_are_found(judged):
    metrics, rows = judged.metrics, rows_of(judged.folder)
    assert metrics["auroc_recon"] > 0.9 and metrics["auroc_elbo"] > 0.9 and metrics["average_precision_elbo"] > 0.9
    assert {name for name in metrics if name.startswith("auroc_recon/")} == {f"auroc_recon/{i}" for i in "023456789"}
    assert all(row["normal"] == str(int(row["class"] == "1")) for row in rows) and len(rows) == 300
    above = [row for row in rows if float(row["recon"]) > metrics["threshold_recon"]]
    assert above == [row for row in rows if row["anomalous"] == "1"]
    alarms = np.mean([row["anomalous"] == "1" for row in rows if row["normal"] == "1"])
    assert metrics["false_alarms"] == pytest.approx(alarms)
    for name in ("histogram.png", "most_normal.png", "least_normal.png"):
        with Image.open(judged.folder / name) as picture:
            assert picture.size[0] > 100


def test_scores_do_not_depend_on_the_images_beside_them(ones, judged, tmp_path):
    parts = package.anomaly(ones, *WORDS, "batch_size=7", out=tmp_path / "o")
    assert parts.metrics == pytest.approx(judged.metrics, rel=1e-4)


def test_the_threshold_is_kept_and_applied_to_other_images(ones, judged, photos, aetrain):
    code, out, err = aetrain("anomaly", f"run={ones}", *WORDS, "data=folder", f"data.path={photos}", "out=o")
    assert code == 0, err
    assert f"thresholds of {judged.folder}" in out
    found = {row["filename"]: row["anomalous"] for row in rows_of(aetrain.folder / "o")}
    assert found == {"one.png": "0", "odd.png": "1"}


def test_with_other_keys_the_threshold_is_found_anew(ones, judged, photos, tmp_path):
    words = (*WORDS, "false_alarms=0.2", "data=folder", f"data.path={photos}")
    again = package.anomaly(ones, *words, out=tmp_path / "o").metrics
    assert again["threshold_recon"] < judged.metrics["threshold_recon"]
    assert "auroc_recon" not in again and again["share_above_threshold"] >= 0.5


@pytest.mark.parametrize("how", ["pickle", "torn"])
def test_a_damaged_detector_is_one_line(ones, judged, photos, tmp_path, how):
    run = shutil.copytree(ones, tmp_path / "run")
    file = run / judged.folder.name / "detector.npz"
    file.write_bytes(b"cos\nsystem\n(S'touch victim'\ntR." if how == "pickle" else file.read_bytes()[:500])
    with pytest.raises(UserError, match=r"detector.npz: damaged"):
        package.anomaly(run, *WORDS, "data=folder", f"data.path={photos}")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "was trained on all classes"),
        (["normal=[x]"], "there is no class 'x'"),
        (["normal=[1]", "split=all"], "the images of training are among them"),
    ],
)
def test_what_is_normal_must_be_known(trained, words, told):
    with pytest.raises(UserError, match=told):
        package.anomaly(trained, *words)


def test_a_model_without_a_bound_has_none(tmp_path):
    run = package.train(package.config(*TINY, "model=ae"), tmp_path / "run").folder
    with pytest.raises(UserError, match="model=ae has no ELBO"):
        package.anomaly(run, "score=nll", "normal=[1]")
    found = package.anomaly(run, "normal=[1]").metrics
    assert "auroc_recon" in found and "auroc_latent" in found and "auroc_elbo" not in found
