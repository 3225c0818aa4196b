"""`aetrain <task> run=…`: what every task on a trained model has in common."""

import csv
import json
import os
import shutil
import signal
import subprocess
import threading

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import aetrain as package
from aetrain.errors import UserError
from aetrain.tasks.output import Output
from tests.conftest import PYTHON
from tests.tasks.conftest import TINY

QUICK = ("nll_samples=0", "codes=false")


@pytest.fixture
def run(trained, tmp_path):
    """A copy, to write into."""
    return shutil.copytree(trained, tmp_path / "run")


# --- evaluate


@pytest.mark.parametrize("words", [["model=sparse", "net=mlp"], ["model=dae"], ["model=vae", "data=shapes"]])
def test_evaluate_repeats_the_result_to_the_bit(tmp_path, words):
    shapes = [
        "data.test_size=100",
        "data.scales=2",
        "data.orientations=3",
        "data.columns=10",
        "data.rows=10",
        "data.size=16",
    ]
    data = shapes if "data=shapes" in words else []
    result = package.train(package.config(*TINY, *words, *data), tmp_path / "run")
    found = package.evaluate(result.folder, *QUICK).metrics
    tested = {tag: value for tag, value in result.metrics.items() if tag.startswith("test/")}
    assert tested and {tag: found[tag] for tag in tested} == tested


def test_evaluate_repeats_scheduled_values_importance_samples_and_the_best_weights(run):
    tested = json.loads((run / "result.json").read_text())
    found = package.evaluate(run, "nll_samples=8", "codes=false").metrics
    wanted = {tag: value for tag, value in tested["metrics"].items() if tag.startswith("test/")}
    assert "test/nll" in wanted and {tag: found[tag] for tag in wanted} == wanted
    last = package.evaluate(run / "checkpoints" / "last.pt", *QUICK)
    assert json.loads((last.folder / "evaluate.json").read_text())["weights"] == "last"
    assert last.folder.parent == run


def test_numbers_do_not_depend_on_portions(run):
    first = package.evaluate(run, *QUICK, "split=val").metrics
    second = package.evaluate(run, *QUICK, "split=val", "batch_size=7").metrics
    assert second == pytest.approx(first, rel=1e-5)
    assert first != package.evaluate(run, *QUICK, "split=val", "seed=1").metrics


# --- words


def test_the_verb_the_group_and_the_function_are_the_same(aetrain, run):
    lines = (
        ["evaluate", f"run={run}", *QUICK],
        ["task=evaluate", "task.nll_samples=0", "task.codes=false", f"run={run}"],
    )
    found = []
    for line in lines:
        code, out, err = aetrain(*line)
        assert code == 0, err
        found.append(json.loads((run / out.split("/")[-1].strip() / "evaluate.json").read_text())["metrics"])
    assert found[0] == found[1] == package.evaluate(str(run), "task.nll_samples=0", "task.codes=false").metrics


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("evaluate", "of which run?"),
        ("evaluate run=nowhere", "there is no such file or folder"),
        ("evaluate run=RUN model.beta=3", "the model comes from run="),
        ("evaluate run=RUN net=conv", "the model comes from run="),
        ("evaluate run=RUN latent_dim=3", "the model comes from run="),
        ("evaluate run=RUN batchsize=3", "did you mean batch_size=3?"),
        ("evaluate run=RUN output_dir=x", "did you mean out=x?"),
        ("evaluate run=RUN nll_samples=abc", "nll_samples=abc: give a whole number, as in nll_samples=10"),
        ("evaluate run=RUN nll_samples=-1", "it must be at least 0"),
        ("evaluate run=RUN split=tset", "split=tset: did you mean split=test?"),
        ("evaluate run=RUN data=mnits", "did you mean data=mnist?"),
        ("evaluate run=RUN data.path=photos", "as in data=folder data.path=photos"),
        ("evaluate run=RUN data=digits", "1x8x8 and 1x28x28"),
        ("evaluate run=RUN resume=RUN", "aetrain evaluate takes run="),
        ("evaluate run=RUN hydra.run.dir=x", "takes out="),
        ("evaluate run=RUN out=RUN", "not an empty folder"),
        ("evaluate run=RUN reconstruct", "did you mean aetrain reconstruct …?"),
        ("-m evaluate run=RUN", "leave out --multirun"),
        ("evaluate run=RUN/checkpoints", "give the run's folder"),
        ("evaluate run=RUN/config.yaml", "no checkpoint in a run's folder"),
        ("evalute run=RUN", "did you mean aetrain evaluate?"),
        ("evaluate run=RUN device=cuda device.index=99", "device"),
        ("task=evaluate model=vae", "the model comes from run="),
    ],
)
def test_a_mistake_costs_one_line_and_nothing_else(aetrain, run, words, told):
    before = sorted(run.rglob("*"))
    code, out, err = aetrain(*words.replace("RUN", str(run)).split())
    assert (code, out) == (2, "") and told in err and err.count("\n") == 1, err
    assert sorted(run.rglob("*")) == before


def test_a_task_on_a_model_is_no_training(aetrain):
    with pytest.raises(UserError, match="trains nothing"):
        package.config("task=evaluate")


def test_help_needs_neither_a_run_nor_torch():
    program = "import sys; from aetrain.cli import main; code = main(['evaluate', '--help']); "
    program += "sys.exit(code or ('torch' in sys.modules))"
    done = subprocess.run([PYTHON, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "  nll_samples=64" in done.stdout and "run=outputs" in done.stdout


def test_cfg_shows_what_a_task_would_use_and_does_nothing(aetrain, run):
    before = sorted(run.rglob("*"))
    code, out, err = aetrain("evaluate", f"run={run}", "data.limit=7", "batch_size=5", "--cfg", "job")
    assert code == 0, err
    shown = yaml.safe_load(out)
    assert shown["task"]["batch_size"] == 5 and shown["data"]["limit"] == 7 and shown["model"]["beta"] == 2
    assert sorted(run.rglob("*")) == before


# --- files


def test_a_folder_is_numbered_and_nothing_is_written_through_a_link(run, tmp_path):
    (run / "evaluate_1").symlink_to(tmp_path / "elsewhere")
    (run / "evaluate_2").write_text("mine")
    assert package.evaluate(run, *QUICK).folder == run / "evaluate_3"
    assert package.evaluate(run, *QUICK, out=tmp_path / "a" / "b").folder == tmp_path / "a" / "b"
    assert (run / "evaluate_2").read_text() == "mine" and not (tmp_path / "elsewhere").exists()


def test_a_file_appears_when_it_is_whole(tmp_path):
    output = Output(tmp_path, "task", None)
    with pytest.raises(ZeroDivisionError), output.rows("a.csv", ["a"]) as rows:
        rows.add([1])
        assert not (tmp_path / "task_1" / "a.csv").exists()
        rows.add([1 / 0])
    assert not list((tmp_path / "task_1").iterdir())
    with output.rows("b.csv", ["name", "n"]) as rows:
        rows.add(["=1+1", -2.5])
    assert (tmp_path / "task_1" / "b.csv").read_text() == "name,n\n'=1+1,-2.5\n"


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_refused(aetrain, run):
    (run / "config.yaml").write_text((run / "config.yaml").read_text().replace("beta: 2.0", "beta: 4.0"))
    code, _, err = aetrain("evaluate", f"run={run}", *QUICK)
    assert code == 2 and "with another model.beta" in err
    (run / "checkpoints" / "best.pt").write_bytes(b"cos\nsystem\n(S'touch victim'\ntR.")
    code, _, err = aetrain("evaluate", f"run={run}", *QUICK)
    assert code == 2 and "damaged or not a checkpoint" in err
    assert not list(run.glob("evaluate*")) and not (aetrain.folder / "victim").exists()


def test_weights_that_are_not_finite_give_nulls_and_no_traceback(run):
    path = run / "checkpoints" / "best.pt"
    content = torch.load(path, weights_only=True)
    for value in content["model"].values():
        value.fill_(torch.nan)
    torch.save(content, path)
    found = package.evaluate(run).metrics
    assert found["test/loss"] is None and found["test/psnr_db"] is None
    assert "NaN" not in (run / "evaluate_1" / "evaluate.json").read_text()


# --- other images


@pytest.fixture
def photos(tmp_path):
    """Good ones, one that is larger, a colour one, a damaged one, and a file that is none."""
    folder, draw = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for name, shape in {"a.png": (28, 28), "b.png": (28, 28), "large.png": (60, 40), "red.png": (28, 28, 3)}.items():
        Image.fromarray((draw.random(shape) * 255).astype(np.uint8)).save(folder / name)
    (folder / "damaged.png").write_bytes((folder / "a.png").read_bytes()[:300])
    (folder / "notes.txt").write_text("no image")
    return folder


def test_other_images_are_fitted_and_those_that_cannot_be_used_are_named(aetrain, run, photos):
    code, out, err = aetrain("reconstruct", f"run={run}", "data=folder", f"data.path={photos}", "files=true", "out=o")
    assert code == 0, err
    assert "notes.txt" in out and "damaged.png" in out and "4 images" in out
    rows = list(csv.DictReader((aetrain.folder / "o" / "reconstructions.csv").read_text().splitlines()))
    assert [row["filename"] for row in rows] == ["a.png", "b.png", "large.png", "red.png"]
    assert sorted(os.listdir(aetrain.folder / "o" / "files")) == [f"{i:06d}.png" for i in range(4)]
    with Image.open(aetrain.folder / "o" / "reconstructions.png") as picture:
        left, *drawn = map(int, picture.text["drawn"].split())
        assert picture.mode == "L" and drawn == [2 + 4 * (84 + 2), 2 + 2 * (84 + 2), 3] and left > 60  # two rows' names


# --- sweeps


def test_a_sweep_gives_one_table(aetrain, swept):
    code, out, err = aetrain("evaluate", f"run={swept}", *QUICK, "out=table")
    assert code == 0, err
    table = list(csv.DictReader((aetrain.folder / "table" / "evaluate.csv").read_text().splitlines()))
    assert [row["model.beta"] for row in table] == ["1.0", "4.0"] and "beta" in out
    members = sorted(swept.glob("[0-9]*"))
    for row, member in zip(table, members, strict=True):
        wanted = json.loads((member / "result.json").read_text())["metrics"]["test/nelbo"]
        assert float(row["test/nelbo"]) == wanted
        assert (aetrain.folder / "table" / member.name / "evaluate.json").exists()


# --- signals


def test_a_signal_ends_a_task_within_seconds(aetrain, run):
    started = threading.Timer(2, os.kill, (os.getpid(), signal.SIGTERM))
    started.start()
    code, _, err = aetrain("evaluate", f"run={run}", "nll_samples=100000000")
    assert code == 143 and "SIGTERM" in err
    assert not list(run.glob("evaluate*"))


# --- Python


def test_a_loaded_model_scores_images(run, images):
    model = package.load(run)
    assert model.reconstruct(images).shape == images.shape
    scores = model.score(images)
    assert scores.shape == (64,) and (scores == model.score(images)).all()
    assert (model.score(1 - images) != scores).all()
