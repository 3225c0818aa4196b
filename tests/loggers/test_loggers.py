"""What a logger has, read back by its own reader, offline: the same points as metrics.jsonl, once."""

import importlib
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from aetrain.config.tree import config_hash
from tests.conftest import SMALL, compose
from tests.loggers.wandb_file import contents
from tests.test_resume import LINE, Killed, kill_at  # noqa: F401

WANDB = ["logger=wandb", "logger.mode=offline"]


def stored(run: Path):
    """(step, tag) → value, of all points in metrics.jsonl but for the speed; none may be there twice."""
    points = {}
    for row in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()):
        for tag in row.keys() - {"step", "epoch"}:
            assert (row["step"], tag) not in points
            points[row["step"], tag] = row[tag]
    return {key: value for key, value in points.items() if not key[1].startswith("speed/")}


def id_of(run: Path):
    rows = [json.loads(line) for line in (run / "logger.jsonl").read_text().splitlines()]
    (id,) = [row["id"] for row in rows if "id" in row]
    return id


class Store:
    """What an MLflow store has of a run."""

    def __init__(self, uri: Path, run: Path):
        mlflow = pytest.importorskip("mlflow")
        self.client = mlflow.MlflowClient(tracking_uri=uri.as_uri())
        self.run = self.client.get_run(id_of(run))
        self.id = self.run.info.run_id

    def points(self):
        found = {}
        for tag in self.run.data.metrics:
            for metric in self.client.get_metric_history(self.id, tag):
                assert (metric.step, tag) not in found
                found[metric.step, tag] = metric.value
        return {key: value for key, value in found.items() if not key[1].startswith("speed/")}

    def images(self):
        """(tag, step) → PNG."""
        paths = [f.path for f in self.client.list_artifacts(self.id, "images") if f.path.endswith(".png")]
        found = {}
        for path in paths:
            tag, _, step, *_ = Path(path).name.split("+")
            found[tag.replace("~", "/"), int(step)] = Path(self.client.download_artifacts(self.id, path)).read_bytes()
        return found


def pixels(png: bytes):
    with Image.open(io.BytesIO(png)) as image:
        return image.size, image.convert("RGB").tobytes()


@pytest.fixture
def store(tmp_path):
    pytest.importorskip("mlflow")
    return tmp_path / "a store"


def test_mlflow_has_the_points_pictures_and_configuration(small_run, store):
    run = small_run("logger=mlflow", f"logger.tracking_uri='{store}'", "model=beta_vae", "model.beta=3", "tags=[a]")
    kept = Store(store, run)
    assert kept.points() == pytest.approx(stored(run), nan_ok=True)
    grids = {(f"grids/{p.stem.rpartition('_')[0]}", 6): p.read_bytes() for p in (run / "grids").iterdir()}
    images = kept.images()
    assert images.keys() == grids.keys() and all(pixels(images[k]) == pixels(grids[k]) for k in grids)
    assert kept.run.data.params["model.beta"] == "3.0" and kept.run.data.params["tags"] == "['a']"
    assert not any(key.startswith("logger.") or key == "data.root" for key in kept.run.data.params)
    assert (kept.run.info.status, kept.run.data.tags["status"]) == ("FINISHED", "done")
    assert kept.run.info.run_name.endswith("/run")


def test_wandb_has_the_points_pictures_and_configuration(small_run):
    pytest.importorskip("wandb")
    run = small_run(*WANDB, "model=beta_vae", "model.beta=3")
    ids, config, history, summary = contents(run)
    assert ids[0] == id_of(run) and config["model.beta"] == 3 and summary["status"] == "done"
    points = {(step, tag): value for step, row in history for tag, value in row.items()}
    expected = stored(run)
    assert {key: points[key] for key in expected} == pytest.approx(expected)
    for grid in (run / "grids").iterdir():
        (file,) = run.glob(f"wandb/*/files/{points[6, 'grids/' + grid.stem.rpartition('_')[0] + '.path']}")
        assert pixels(file.read_bytes()) == pixels(grid.read_bytes())


@pytest.mark.parametrize("logger", ["mlflow", "wandb"])
def test_a_resumed_run_goes_on_in_the_same_one_and_repeats_nothing(aetrain, kill_at, store, logger):  # noqa: F811
    """The checkpoint is of step 6; step 9 had been sent before the run was killed."""
    pytest.importorskip(logger)
    own = WANDB if logger == "wandb" else ["logger=mlflow", f"logger.tracking_uri='{store}'"]
    kill_at(11)
    with pytest.raises(Killed):
        aetrain(*LINE, *own, "hydra.run.dir=run")
    kill_at(0)
    run = aetrain.folder / "run"
    before = id_of(run)
    time.sleep(1 - time.time() % 1)  # W&B names its folder by the second, in which no process starts again
    code, out, err = aetrain("resume=run", *own)
    assert code == 0 and "resumed at step 6" in out, err
    assert id_of(run) == before
    if logger == "mlflow":
        kept = Store(store, run)
        assert kept.points() == pytest.approx(stored(run))
        assert kept.run.info.status == "FINISHED"
    else:
        ids, _, history, _ = contents(run)
        assert set(ids) == {before}
        steps = [step for step, _ in history]
        assert steps == sorted(set(steps)) and {3, 6, 9, 12, 14} <= set(steps)
        points = {(step, tag): value for step, row in history for tag, value in row.items()}
        expected = stored(run)
        assert {key: points[key] for key in expected} == pytest.approx(expected)


def test_a_folders_own_word_on_a_logger_is_not_taken_over(aetrain, store):
    """It may be someone else's, and what is sent would go to them."""
    theirs = aetrain.folder / "theirs"
    own = ["logger=mlflow", f"logger.tracking_uri='{store}'"]
    assert aetrain(*SMALL, *own, "hydra.run.dir=run")[0] == 0
    run = aetrain.folder / "run"
    config = run / "config.yaml"
    config.write_text(config.read_text().replace(str(store), str(theirs)))
    before = Store(store, run).points()
    code, out, err = aetrain("resume=run", "trainer.max_steps=8", "trainer.epochs=3")
    assert code == 0 and "TensorBoard alone" in out, err
    assert not theirs.exists() and Store(store, run).points() == before
    code, _, err = aetrain("resume=run", "logger.experiment=x", "trainer.max_steps=9")
    assert code == 2 and "logger=mlflow" in err and err.count("\n") == 1
    code, _, err = aetrain("resume=run", *own, "trainer.max_steps=10")
    assert code == 0, err
    added = Store(store, run).points().keys() - before.keys()
    assert {step for step, _ in added} == {8, 10}  # what it does not have yet
    assert not theirs.exists()


def test_an_id_of_another_form_is_not_taken_over(aetrain, store):
    """It becomes part of a path."""
    assert aetrain(*SMALL, "hydra.run.dir=run")[0] == 0
    run = aetrain.folder / "run"
    (run / "logger.jsonl").write_text('{"logger": "mlflow", "id": "../../elsewhere"}\n[1]\n{"logger": "mlflow", "id"')
    own = ["logger=mlflow", f"logger.tracking_uri='{store}'"]
    code, out, _ = aetrain("resume=run", *own, "trainer.max_steps=8", "trainer.epochs=3")
    assert code == 0 and "warning: mlflow" not in out
    rows = [json.loads(line) for line in (run / "logger.jsonl").read_text().splitlines()[3:]]
    assert len(rows[0]["id"]) == 32  # on a line of its own, though the last one was torn
    (run / "logger.jsonl").unlink()
    (run / "logger.jsonl").symlink_to(aetrain.folder / "elsewhere")
    code, _, err = aetrain("resume=run", *own, "trainer.max_steps=10")
    assert code == 2 and "it is a link" in err and not (aetrain.folder / "elsewhere").exists()


@pytest.mark.longer
def test_the_runs_of_a_sweep_are_runs_there_also_when_it_is_resumed(aetrain, store):
    """Stacked: several runs in one process."""
    own = ["logger=mlflow", f"logger.tracking_uri='{store}'"]
    sweep = ["model=beta_vae", "model.beta=1,2", "hydra.sweep.dir=sweep", "hydra.launcher.mode=stack"]
    assert aetrain("-m", *SMALL, *own, *sweep)[0] == 0
    members = sorted((aetrain.folder / "sweep").glob("[01]_*"))
    for member, beta in zip(members, ("1.0", "2.0"), strict=True):
        kept = Store(store, member)
        assert kept.run.data.params["model.beta"] == beta and kept.points() == pytest.approx(stored(member))
    (members[0] / "result.json").unlink()  # as if it had been killed at its end
    kept = Store(store, members[0])
    kept.client.set_tag(kept.id, "status", "killed")
    code, _, err = aetrain("resume=sweep", *own)
    assert code == 0, err
    kept = Store(store, members[0])
    assert kept.run.data.tags["status"] == "done" and kept.points() == pytest.approx(stored(members[0]))


def test_a_service_that_is_away_costs_one_line(aetrain):
    pytest.importorskip("mlflow")
    code, out, err = aetrain(*SMALL, "logger=mlflow", "logger.tracking_uri=http://127.0.0.1:9", "hydra.run.dir=run")
    assert code == 0, err
    assert (out + err).count("mlflow has failed, the run continues without it") == 1 and "Retrying" not in out + err
    assert json.loads((aetrain.folder / "run" / "result.json").read_text())["status"] == "done"


@pytest.mark.parametrize("logger", ["mlflow", "wandb"])
def test_without_its_package_nothing_is_written(aetrain, monkeypatch, logger):
    monkeypatch.setitem(sys.modules, logger, None)
    code, _, err = aetrain(*SMALL, f"logger={logger}", "hydra.run.dir=run")
    assert code == 2 and err.count("\n") == 1 and f"pip install 'aetrain[{logger}]'" in err
    assert not list(aetrain.folder.iterdir())


def test_a_folder_of_the_packages_name_is_not_the_package(aetrain, monkeypatch):
    """W&B makes one wherever it is used."""
    pytest.importorskip("wandb")
    monkeypatch.delitem(sys.modules, "wandb")
    monkeypatch.setattr(sys, "path", [str(aetrain.folder)])
    (aetrain.folder / "wandb").mkdir()
    importlib.invalidate_caches()
    code, _, err = aetrain(*SMALL, "logger=wandb", "hydra.run.dir=run")
    assert code == 2 and "pip install 'aetrain[wandb]'" in err


def test_a_password_is_not_written_down(aetrain):
    pytest.importorskip("mlflow")
    code, _, err = aetrain(*SMALL, "logger=mlflow", "logger.tracking_uri=https://me:secret@host", "hydra.run.dir=run")
    assert code == 2 and "MLFLOW_TRACKING_PASSWORD" in err and "secret" not in err
    assert not list(aetrain.folder.iterdir())


def test_it_is_no_part_of_what_a_run_is():
    pytest.importorskip("wandb")
    assert config_hash(compose(*WANDB)) == config_hash(compose())


def test_nothing_is_imported_unless_asked_for():
    program = "import sys, aetrain.loggers.connect; sys.exit(bool({'mlflow', 'wandb'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
