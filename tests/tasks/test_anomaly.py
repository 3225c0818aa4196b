"""aetrain anomaly."""

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

import aetrain as package
from aetrain.errors import UserError
from tests.tasks.conftest import TINY

ONES = ["data.classes=[1]", "data.val_size=0.05", "trainer.max_steps=60", "trainer.batch_size=100", "net.hidden=[32]"]


@pytest.fixture(scope="module")
def ones(tmp_path_factory):
    """A VAE that has seen ones alone."""
    return package.train(package.config(*TINY, *ONES, "model=vae"), tmp_path_factory.mktemp("ones") / "run").folder


@pytest.fixture
def run(ones, tmp_path):
    return shutil.copytree(ones, tmp_path / "run")


def rows_of(folder):
    return list(csv.DictReader((folder / "anomaly.csv").read_text().splitlines()))


def test_other_digits_are_found(run):
    done = package.anomaly(run, "nll_samples=2")
    metrics, rows = done.metrics, rows_of(done.folder)
    assert metrics["auroc_elbo"] > 0.9 and metrics["average_precision_elbo"] > 0.9
    assert {name for name in metrics if name.startswith("auroc_elbo/")} == {f"auroc_elbo/{i}" for i in "023456789"}
    assert all(row["normal"] == str(int(row["class"] == "1")) for row in rows) and len(rows) == 300
    above = [row for row in rows if float(row["elbo"]) > metrics["threshold_elbo"]]
    assert above == [row for row in rows if row["anomalous"] == "1"]
    normal = [row for row in rows if row["normal"] == "1"]
    alarms = np.mean([row["anomalous"] == "1" for row in normal])
    assert metrics["false_alarms"] == pytest.approx(alarms)
    for name in ("histogram.png", "most_normal.png", "least_normal.png"):
        with Image.open(done.folder / name) as picture:
            assert picture.size[0] > 100


def test_scores_do_not_depend_on_the_images_beside_them(run):
    words = ("nll_samples=2", "shown=1")
    whole, parts = (package.anomaly(run, *words, f"batch_size={n}") for n in (300, 7))
    assert parts.metrics == pytest.approx(whole.metrics, rel=1e-4)


def test_the_threshold_is_kept_and_applied_to_other_images(run, tmp_path, aetrain):
    kept = package.anomaly(run, "nll_samples=2", "score=recon", "false_alarms=0.1").metrics
    (tmp_path / "photos").mkdir()
    stroke = np.zeros((28, 28), dtype=np.uint8)
    stroke[4:24, 13:16] = 255
    Image.fromarray(stroke).save(tmp_path / "photos" / "one.png")
    Image.fromarray(255 - stroke).save(tmp_path / "photos" / "odd.png")
    words = ("data=folder", f"data.path={tmp_path / 'photos'}", "nll_samples=2", "score=recon")
    code, out, err = aetrain("anomaly", f"run={run}", *words, "false_alarms=0.1", "out=o")
    assert code == 0, err
    assert "thresholds of" in out and "anomaly_1" in out
    found = {row["filename"]: row for row in rows_of(aetrain.folder / "o")}
    assert (found["one.png"]["anomalous"], found["odd.png"]["anomalous"]) == ("0", "1")
    again = package.anomaly(run, *words, "false_alarms=0.2").metrics  # other keys: found anew
    assert again["threshold_recon"] < kept["threshold_recon"]
    assert "auroc_recon" not in again and again["share_above_threshold"] >= 0.5


def test_a_damaged_detector_is_one_line(run, tmp_path):
    folder = package.anomaly(run, "nll_samples=2").folder
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.zeros((28, 28), dtype=np.uint8)).save(tmp_path / "photos" / "a.png")
    for content in (b"cos\nsystem\n(S'touch victim'\ntR.", (folder / "detector.npz").read_bytes()[:500]):
        (folder / "detector.npz").write_bytes(content)
        with pytest.raises(UserError, match=r"detector.npz: damaged"):
            package.anomaly(run, "nll_samples=2", "data=folder", f"data.path={tmp_path / 'photos'}")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "was trained on all classes"),
        (["normal=[x]"], "there is no class 'x'"),
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
