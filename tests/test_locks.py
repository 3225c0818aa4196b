"""Locks: a writer outlasts readers that look, and a file system without locks is said and worked with."""

import errno
import fcntl
import threading
import time

import pytest

from aetrain import locks
from tests.conftest import SMALL, longer


@pytest.fixture
def file(tmp_path):
    with open(tmp_path / "lock", "w") as file:
        yield file


def test_a_lock_is_held_by_one_alone(file, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE", 0.1)
    assert locks.take(file.fileno(), "mine")
    with open(file.name) as other:
        assert locks.is_held(other.fileno())
        assert not locks.take(other.fileno(), "mine")
    file.close()
    with open(file.name) as other:
        assert not locks.is_held(other.fileno())


def test_a_writer_waits_for_a_reader_that_looks(file):
    reader = open(file.name)  # noqa: SIM115
    fcntl.flock(reader, fcntl.LOCK_SH)
    threading.Timer(0.2, reader.close).start()
    began = time.monotonic()
    assert locks.take(file.fileno(), "mine") and 0.1 < time.monotonic() - began < locks.PATIENCE


@pytest.mark.parametrize("number", [errno.ENOSYS, *(longer(n) for n in (errno.ENOLCK, errno.EOPNOTSUPP))])
def test_without_locks_runs_and_sweeps_go_on_with_a_warning(aetrain, monkeypatch, number):
    def refused(file, how):
        raise OSError(number, "refused")

    monkeypatch.setattr(fcntl, "flock", refused)
    line = [*SMALL, "trainer.max_steps=2"]
    code, out, err = aetrain(*line, "hydra.run.dir=run")
    assert (code, err) == (0, "") and out.count("its file system has no locks (refused)") == 1
    code, out, err = aetrain(*line, "-m", "seed=0,1", "hydra.sweep.dir=sweep", "hydra.launcher.mode=sequential")
    assert (code, err) == (0, "") and (aetrain.folder / "sweep" / "report.html").exists()
    assert aetrain("resume=run", "trainer.max_steps=3")[0] == 0
