"""Hydra's other launchers and sweepers in the place of ours, for real."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest
import yaml

from tests.conftest import PYTHON, SMALL, longer
from tests.sweeps.test_identity import begin_again
from tests.sweeps.test_launcher import members, traits
from tests.test_resume import assert_identical, result

LINE = ["-m", "model=beta_vae", *SMALL, "device.threads=1"]
pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries themselves


@pytest.mark.parametrize(
    "engine",
    [
        longer(["joblib", "hydra.launcher.n_jobs=2", "model.beta=1,2"]),
        longer(["submitit_local", "model.beta=4,2"]),
    ],
    ids=lambda engine: engine[0],
)
def test_another_launcher_leaves_the_same_on_disk_and_resumes_it(aetrain, engine):
    pytest.importorskip(f"hydra_plugins.hydra_{engine[0].partition('_')[0]}_launcher")
    launcher, *keys, values = engine
    code, _, err = aetrain(*LINE, values, f"hydra/launcher={launcher}", *keys, "hydra.sweep.dir=engine")
    assert code == 0, err
    assert aetrain(*LINE, values, "hydra.launcher.mode=sequential", "hydra.sweep.dir=ours")[0] == 0
    for one, other in zip(members(aetrain.folder / "engine"), members(aetrain.folder / "ours"), strict=True):
        assert one.name == other.name and traits(one) == traits(other)
        assert result(one)["metrics"] == result(other)["metrics"]
    before = {member: result(member) for member in members(aetrain.folder / "engine")}
    begin_again(before)
    code, _, err = aetrain("resume=engine", f"hydra/launcher={launcher}")
    assert code == 0, err
    assert {path.parent: result(path.parent) for path in (aetrain.folder / "engine").rglob("result.json")} == before
    report = json.loads((aetrain.folder / "engine" / "report.json").read_text())
    assert [member["status"] for member in report["members"]] == ["done"] * 2
    assert report["swept"] == {"model.beta": sorted(map(int, values.partition("=")[2].split(",")))}


@pytest.mark.longer
def test_a_job_whose_time_is_over_is_queued_again_and_goes_on(aetrain):
    """submitit's signal, as SLURM sends it before the end of a job's time: a checkpoint, a new job, the same result."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    line = ["-m", "model=beta_vae", "model.beta=4", "net.hidden=[32]", "data.limit=300", "trainer.batch_size=50",
            "trainer.log_every=2", "trainer.epochs=40", "trainer.grid_epochs=40", "trainer.checkpoint_epochs=1000",
            "device=cpu", "device.threads=1"]  # fmt: skip
    assert aetrain(*line, "hydra.launcher.mode=sequential", "hydra.sweep.dir=reference")[0] == 0
    submitted = subprocess.Popen([PYTHON, "-m", "aetrain", *line, "hydra/launcher=submitit_local",
                                  "hydra.sweep.dir=sweep"])  # fmt: skip
    while not (rows := list(aetrain.folder.glob("sweep/*/metrics.jsonl"))) or len(rows[0].read_text().split("\n")) < 20:
        assert submitted.poll() is None
        time.sleep(0.01)
    os.kill(int((rows[0].parent / ".lock").read_text()), signal.SIGUSR2)
    assert submitted.wait(120) == 0
    [member], [expected] = members(aetrain.folder / "sweep"), members(aetrain.folder / "reference")
    assert_identical(member, expected)
    log = (member / "aetrain.log").read_text()
    assert "resumed at step " in log and "resumed at step 0 " not in log


def test_optuna_minimises_the_objective_metric(aetrain):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    search = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1",
              "optimizer.lr=interval(0.0003,0.01)", "hydra.sweeper.sampler.seed=1"]  # fmt: skip
    code, _, err = aetrain("-m", "model=vae", *search, *SMALL, "hydra.sweep.dir=sweep")
    assert code == 0, err
    folder = aetrain.folder / "sweep"
    best = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    found = {result(member)["metrics"]["val/nelbo"]: member for member in members(folder)}
    assert len(found) == 3 and best["best_value"] == min(found)
    config = yaml.safe_load((found[min(found)] / "config.yaml").read_text())
    assert config["optimizer"]["lr"] == best["best_params"]["optimizer.lr"]
    assert aetrain("task=report", "sweep=sweep")[0] == 0
    assert len(json.loads((folder / "report.json").read_text())["members"]) == 3


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["model=beta_vae", "model.beta=interval(1,8)", "trainer.objective_metric=val/loss"], "contains model.beta"),
        (["model=vae", "optimizer.lr=interval(0.001,0.1)", "data.val_size=0"], "data.val_size=0"),
        (["model=vae", "optimizer.lr=interval(0.001,0.1)", "trainer.epochs=0"], "trainer.epochs=0"),
    ],
)
def test_a_search_that_cannot_choose_is_refused_before_its_first_trial(aetrain, words, answer):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    code, _, err = aetrain("-m", "hydra/sweeper=optuna", *words)
    assert code == 2 and err.count("\n") == 1 and answer in err
    assert not list(aetrain.folder.iterdir())


def test_a_storage_without_a_search_is_an_unknown_key(aetrain):
    code, _, err = aetrain("-m", "seed=1,2", "hydra.sweeper.storage=sqlite:///search.db")
    assert code == 2 and err.count("\n") == 1 and "unknown key 'hydra.sweeper.storage'" in err


@pytest.mark.skipif(shutil.which("srun") is not None, reason="SLURM is here")
def test_a_machine_without_slurm_is_told(aetrain):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    code, _, err = aetrain(*LINE, "model.beta=1,4", "hydra/launcher=submitit_slurm")
    assert code == 2 and err.count("\n") == 1 and "hydra/launcher=submitit_slurm: srun was not found" in err
    assert not list(aetrain.folder.iterdir())


DIVERGING = [*SMALL, "model=ae", "model.output=identity", "optimizer=sgd", "hydra/sweeper=optuna",
             "hydra.sweeper.n_jobs=1", "hydra.sweeper.sampler.seed=1", "hydra.sweep.dir=sweep",
             "hydra.launcher.mode=sequential"]  # fmt: skip


@pytest.mark.longer
def test_a_search_outlives_a_diverged_trial_and_goes_on_from_its_storage(aetrain):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    line = ["-m", *DIVERGING, "hydra.sweeper.n_trials=4", "hydra.sweeper.storage=sqlite:///search.db",
            "hydra.sweeper.study_name=mine", "optimizer.lr=choice(1e-4,1e25)"]  # fmt: skip
    code, out, err = aetrain(*line)
    assert code == 0, err
    assert "diverged" in out and "Error executing" not in err and "alembic" not in out
    folder = aetrain.folder / "sweep"
    found = sorted(folder.glob("[0-9]*_*"))
    assert ["lr=1e+25" in member.name.partition(",")[0] for member in found] == [True, False]  # one folder for each
    assert [result(member)["status"] for member in found] == ["failed", "done"]
    best = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    code, out, err = aetrain(*line)
    assert code == 0 and "Using an existing study" in err and "nothing to do" in out
    assert yaml.safe_load((folder / "optimization_results.yaml").read_text()) == best
    assert sorted(folder.glob("[0-9]*_*")) == found


@pytest.mark.parametrize(
    ("words", "code", "answer"),
    [
        (["optimizer.lr=choice(1e24,1e25)"], 1, "no trial of the search came to its end"),
        (["hydra.sweeper.storage=sqlite:////no/such/x.db", "optimizer.lr=choice(1,2)"], 2, "unable to open"),
        (["hydra.sweeper.storage=search", "optimizer.lr=choice(1,2)"], 2, "sqlite:///search.db"),
        (["hydra.sweeper.storage=nosuch://search", "optimizer.lr=choice(1,2)"], 2, "sqlite:///search.db"),
    ],
)
def test_a_search_that_comes_to_nothing_says_so_in_one_line(aetrain, words, code, answer):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    ended, _, err = aetrain("-m", *DIVERGING, "hydra.sweeper.n_trials=2", *words)
    last = err.splitlines()[-1]
    assert ended == code and last.startswith("aetrain: error: ") and answer in last
