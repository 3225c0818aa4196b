"""Sweeps: every member as a run of its own, failures that do not spread, and a sweep that is continued."""

import pytest
import torch
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from aetrain.compose import hydra_with
from aetrain.config.tables import GROUPS
from tests.conftest import SMALL, longer
from tests.sweeps.test_launcher import members
from tests.test_resume import Killed, assert_identical, kill_at, result  # noqa: F401

SEQUENTIAL = "hydra.launcher.mode=sequential"
LINE = ["-m", "model=beta_vae", "model.beta=1,4", "net.hidden=[32]", SEQUENTIAL, *SMALL]


def test_members_are_runs_named_by_their_overrides(aetrain, done):
    """Each equals the same command alone, and can be resumed alone."""
    found = members(done(*LINE, to="sweep"))
    assert [p.name.split(",")[0] for p in found] == ["0_model.beta=1", "1_model.beta=4"]
    assert [yaml.safe_load((p / "config.yaml").read_text())["model"]["beta"] for p in found] == [1, 4]
    assert len({result(p)["config_hash"] for p in found}) == 2
    assert aetrain("model=beta_vae", "model.beta=4", "net.hidden=[32]", *SMALL, "hydra.run.dir=alone")[0] == 0
    assert_identical(found[1], aetrain.folder / "alone")
    code, out, err = aetrain(f"resume={found[0]}", "trainer.max_steps=9")
    assert code == 0, err
    assert "resumed at step 6 of 9" in out and torch.load(found[0] / "checkpoints" / "last.pt")["step"] == 9


def test_a_glob_finds_options_and_not_what_they_share():
    """conf/model/_shared.yaml"""
    with hydra_with() as hydra:
        parser = OverridesParser.create(config_loader=hydra.config_loader)
        for group in ("model", "net", "data", "optimizer"):
            (word,) = parser.parse_overrides([f"{group}=glob(*)"])
            assert set(word.sweep_iterator()) == set(GROUPS[group])


def test_a_failed_member_does_not_touch_the_others_and_is_told_at_the_end(aetrain):
    line = ["-m", "model=ae", "model.output=identity", "optimizer=sgd", "optimizer.lr=1e-4,1e6,1e-3",
            SEQUENTIAL, *SMALL, "trainer.max_steps=30", "trainer.epochs=9", "trainer.grid_epochs=9"]  # fmt: skip
    code, _, err = aetrain(*line, "hydra.sweep.dir=sweep")
    assert code == 1 and err.count("\n") == 1
    assert "1 of 3 runs failed" in err and "optimizer.lr=1000000.0" in err and "not finite at step" in err
    found = members(aetrain.folder / "sweep")
    assert [result(p)["status"] for p in found] == ["done", "failed", "done"]
    without = [word.replace("1e-4,1e6,1e-3", "1e-4,1e-3") for word in line]
    assert aetrain(*without, "hydra.sweep.dir=without")[0] == 0
    for one, other in zip([found[0], found[2]], members(aetrain.folder / "without"), strict=True):
        assert result(one)["metrics"] == result(other)["metrics"]


@pytest.mark.parametrize(
    "command", [longer(["resume=sweep"]), [*LINE, "hydra.sweep.dir=sweep"]], ids=["resume", "same command"]
)
def test_an_interrupted_sweep_goes_on(aetrain, done, kill_at, command):  # noqa: F811
    line = [*LINE, "trainer.checkpoint_minutes=1e-9"]
    done(*line, to="reference")
    done(*line[:2], "model.beta=1", *line[3:], to="sweep")  # the first member is done
    first = members(aetrain.folder / "sweep")[0]
    untouched = (first / "checkpoints" / "last.pt").stat().st_mtime_ns
    kill_at(4)
    with pytest.raises(Killed):
        aetrain(*line, "hydra.sweep.dir=sweep")  # dies in the second
    kill_at(0)
    if command[0] == "-m":
        command = [*line, "hydra.sweep.dir=sweep"]
    code, out, err = aetrain(*command)
    assert code == 0, err
    assert "nothing to do" in out and "resumed at step 3 of 6" in out
    assert (first / "checkpoints" / "last.pt").stat().st_mtime_ns == untouched
    for one, other in zip(members(aetrain.folder / "sweep"), members(aetrain.folder / "reference"), strict=True):
        assert_identical(one, other)


def test_added_values_run_and_the_others_stay(aetrain, done):
    done(*[word.replace("1,4", "4,16") for word in LINE], to="sweep")
    before = {p.name: (p / "result.json").stat().st_mtime_ns for p in members(aetrain.folder / "sweep")}
    line = [word.replace("1,4", "1,4,16,64") for word in LINE]
    code, out, err = aetrain(*line, "hydra.sweep.dir=sweep")
    assert code == 0, err
    assert out.count("nothing to do") == 2
    found = members(aetrain.folder / "sweep")
    names = [p.name.partition(",")[0] for p in found]
    assert names == ["0_model.beta=4", "1_model.beta=16", "2_model.beta=1", "3_model.beta=64"]
    assert all((aetrain.folder / "sweep" / name / "result.json").stat().st_mtime_ns == t for name, t in before.items())
    assert [yaml.safe_load((p / "config.yaml").read_text())["model"]["beta"] for p in found] == [4, 16, 1, 64]


@pytest.mark.longer
def test_a_resumed_sweep_goes_on_with_what_earlier_commands_began(aetrain, done):
    done(*LINE, to="sweep")
    (members(aetrain.folder / "sweep")[0] / "result.json").unlink()  # as if it had been killed in its last moment
    assert aetrain(*[word.replace("1,4", "16") for word in LINE], "hydra.sweep.dir=sweep")[0] == 0
    code, out, err = aetrain("resume=sweep")
    assert code == 0, err
    assert out.count("nothing to do") == 2 and "resumed at step 6 of 6" in out
    assert [result(p)["status"] for p in members(aetrain.folder / "sweep")] == ["done"] * 3


def test_a_sweep_is_resumed_as_it_was_launched(aetrain):
    line = [word.replace("sequential", "stack") for word in LINE]
    assert aetrain(*line, "hydra.sweep.dir=sweep")[0] == 0
    for member in members(aetrain.folder / "sweep"):
        for path in (member / "result.json", member / "checkpoints" / "last.pt"):
            path.unlink()
    assert "a stack of 2" in aetrain("resume=sweep")[1]
    code, _, err = aetrain("resume=sweep", "seed=1")
    assert code == 2 and err.count("\n") == 1 and "seed=1: a sweep is continued as it was" in err
