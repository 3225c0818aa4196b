"""A run starts only in a folder that is new, empty or its own, and follows no link."""

import errno
import os
from pathlib import Path

import pytest

from aetrain import jobs
from aetrain.sweeps import members
from tests.conftest import SMALL


def snapshot(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} | dict.fromkeys(folder.rglob("*"))


@pytest.mark.parametrize(
    "theirs", [["config.yaml", "metrics.jsonl", "result.json"], ["notes.txt"], ["checkpoints/a.ckpt"]]
)
def test_another_tools_folder_is_refused_untouched(aetrain, theirs):
    """Lightning's layout has files of the same names."""
    for name in theirs:
        path = aetrain.folder / "proj" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("theirs")
    before = snapshot(aetrain.folder)
    code, _, err = aetrain(*SMALL, "hydra.run.dir=proj")
    assert code == 2 and err.count("\n") == 1 and "not a run's" in err
    assert snapshot(aetrain.folder) == before


def test_the_present_folder_is_refused(aetrain):
    (aetrain.folder / "thesis.tex").write_text("mine")
    code, _, err = aetrain(*SMALL, "hydra.run.dir=.")
    assert code == 2 and "not a run's" in err
    assert [path.name for path in aetrain.folder.iterdir()] == ["thesis.tex"]


def test_a_second_run_in_the_same_folder_changes_nothing(aetrain, done):
    done(*SMALL, "model=ae")
    before = snapshot(aetrain.folder)
    code, _, err = aetrain(*SMALL, "model=vae", "hydra.run.dir=run")
    assert code == 2 and "a run is there; continue it with aetrain resume=run" in err
    assert snapshot(aetrain.folder) == before


@pytest.mark.parametrize(
    "name", [".lock", "metrics.jsonl", "config.yaml", "result.json", "aetrain.log", "grids", "checkpoints/last.pt"]
)
@pytest.mark.parametrize("make", [os.symlink, os.link], ids=["symlink", "hard link"])
def test_no_link_is_followed(aetrain, done, name, make):
    """Someone else's folder, in which something that a run writes leads elsewhere."""
    folder, victim = done(*SMALL, "model=ae"), aetrain.folder / "victim"
    path = folder / name
    if path.is_dir():
        if make is os.link:
            pytest.skip("no hard links of folders")
        path.rename(victim)
    else:
        victim.write_bytes(path.read_bytes())
        path.unlink()
    make(victim, path)
    before = snapshot(aetrain.folder)
    code, _, err = aetrain("resume=run", "trainer.max_steps=12", "trainer.epochs=10")
    assert code == 2 and err.count("\n") == 1, err
    assert snapshot(aetrain.folder) == before


@pytest.mark.parametrize(
    "words",
    [["hydra.run.dir=locked/run"], ["-m", "seed=0,1", "hydra.sweep.dir=locked/sweep"], ["resume=locked/run"],
     ["runs", "locked/run"]],
    ids=["run", "sweep", "resume", "runs"],
)  # fmt: skip
def test_a_folder_that_one_may_not_enter(aetrain, monkeypatch, words):
    stat = Path.stat

    def refused(path, **how):
        if "locked" in path.parts:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, **how)

    monkeypatch.setattr(Path, "stat", refused)
    code, _, err = aetrain(*([] if words[0] == "runs" else SMALL), *words)
    assert code == 2 and err.count("\n") == 1 and "locked" in err and "Permission denied" in err


def test_a_disk_that_is_full_when_a_sweep_starts(aetrain, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(members, "write_json", full)
    code, _, err = aetrain(*SMALL, "-m", "seed=0,1", "hydra.sweep.dir=sweep")
    assert code == 1 and err.count("\n") == 1 and "error: sweep: " in err and "make room" in err


def test_a_disk_that_is_full_when_a_run_starts(aetrain, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(jobs, "write_atomically", full)
    code, _, err = aetrain(*SMALL, "hydra.run.dir=run")
    assert code == 1 and err.count("\n") == 1 and "error: run: " in err and "make room" in err
