"""Real processes, killed at random moments; real disks that are full.

`make test` runs a short form; `make test-faults` (pytest --kills=30 tests/test_faults.py) kills all six models.
"""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from aetrain.cli import main
from aetrain.config.tables import MODELS
from aetrain.training import checkpoint
from tests.test_resume import assert_identical

# One thread each, a checkpoint after nearly every step: half of the time is spent writing one.
LINE = ["data.limit=600", "trainer.batch_size=50", "trainer.epochs=20", "trainer.log_every=5", "trainer.grid_epochs=20",
        "device=cpu", "device.threads=1", "trainer.checkpoint_minutes=1e-9"]  # fmt: skip


class Started:
    """A command line in a process of its own, forked from one that has imported torch and no more."""

    def __init__(self, folder, *line):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["aetrain.sweeps.launch.preload"])
        self.out, self.err = (folder / f"{name}-{time.monotonic_ns()}" for name in ("out", "err"))
        self.process = context.Process(target=in_process, args=(folder, line, self.out, self.err))
        self.process.start()

    def send(self, number):
        os.kill(self.process.pid, number)

    def finish(self, code=0):
        self.process.join(240)
        assert self.process.exitcode == code, self.err.read_text()
        return self.out.read_text(), self.err.read_text()


def in_process(folder, line, out, err):
    for path, fd in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), fd)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(list(line)))


def training_has_begun(process, run, after):
    """Wait until the process writes: a last.pt newer than `after`. False if it ended first."""
    path = run / "checkpoints" / "last.pt"
    while process.process.is_alive():
        if path.exists() and path.stat().st_mtime_ns > after:
            return True
        time.sleep(0.005)
    return False


def models(config):
    """(model, kills, epochs): room for all kills."""
    kills = config.getoption("--kills")
    return [(m, -(-kills // len(MODELS)), 20) for m in sorted(MODELS)] if kills else [("vae", 1, 6)]


def pytest_generate_tests(metafunc):
    if "kills" in metafunc.fixturenames:
        metafunc.parametrize(("model", "kills", "epochs"), models(metafunc.config))


def test_sigkill_at_random_moments(tmp_path, model, kills, epochs):
    precision = "bf16" if model in ("vae", "sparse", "dae") else "fp32"
    line = [*LINE, f"model={model}", f"device.precision={precision}", f"trainer.epochs={epochs}"]
    reference = Started(tmp_path, *line, "hydra.run.dir=reference")
    rng, run, done, during_write = random.Random(model), tmp_path / "run", 0, 0
    command, after = [*line, "hydra.run.dir=run"], 0
    while done < kills:
        process = Started(tmp_path, *command)
        assert training_has_begun(process, run, after), process.finish()
        time.sleep(rng.uniform(0, 0.5))
        process.send(signal.SIGKILL)
        process.finish(-signal.SIGKILL)  # and not before
        done += 1
        during_write += bool(list((run / "checkpoints").glob(".*.tmp")))
        checkpoint.load(run / "checkpoints" / "last.pt")  # whatever the moment, it loads
        command, after = ["resume=run"], (run / "checkpoints" / "last.pt").stat().st_mtime_ns
    out, _ = Started(tmp_path, "resume=run").finish()
    assert "resumed at step" in out
    reference.finish()
    assert_identical(run, tmp_path / "reference")
    print(f"{model}: {done} kills, {during_write} of them during a checkpoint's write")


def test_sigterm_ends_within_five_seconds_and_nothing_is_lost(tmp_path):
    line = [*LINE, "trainer.epochs=200"]
    process = Started(tmp_path, *line, "hydra.run.dir=run")
    assert training_has_begun(process, tmp_path / "run", 0)
    time.sleep(0.5)
    sent = time.monotonic()
    process.send(signal.SIGTERM)
    _, err = process.finish(143)
    assert time.monotonic() - sent < 5
    assert err.count("\n") == 1 and "resume=" in err
    step = checkpoint.load(tmp_path / "run" / "checkpoints" / "last.pt")["step"]
    out, _ = Started(tmp_path, "resume=run", f"trainer.max_steps={step + 20}").finish()
    assert f"resumed at step {step} of {step + 20}" in out


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 12 MB: room for one checkpoint of the vae with its optimizer (8 MB), not for two."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here: see test_a_write_that_fails")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_the_earlier_checkpoint_loads(aetrain, small_disk):
    code, _, err = aetrain(*LINE, f"hydra.run.dir={small_disk}/run")
    assert code == 1 and err.count("\n") == 1, err
    assert "No space left on device" in err and "resume=" in err
    checkpoint.load(small_disk / "run" / "checkpoints" / "last.pt")
    assert not list(small_disk.rglob(".*.tmp"))
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)  # room has been made
    assert aetrain(f"resume={small_disk}/run", "trainer.max_steps=3")[0] == 0


@pytest.mark.parametrize("error", [28, 30, 5], ids=["no space", "read-only", "input/output error"])
def test_a_write_that_fails(aetrain, monkeypatch, error):
    """The same with the error injected where bytes go to the disk."""
    fsync, count = os.fsync, 0

    def failing(descriptor):
        nonlocal count
        count += 1
        if count > 12:
            raise OSError(error, os.strerror(error))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        code, _, err = aetrain(*LINE, "hydra.run.dir=run")
    assert code == 1 and err.count("\n") == 1 and os.strerror(error) in err
    checkpoint.load(aetrain.folder / "run" / "checkpoints" / "last.pt")
    assert aetrain("resume=run", "trainer.max_steps=3")[0] == 0
    assert json.loads((aetrain.folder / "run" / "result.json").read_text())["status"] == "done"


def test_a_learning_rate_of_a_million(aetrain):
    code, _, err = aetrain(*LINE, "optimizer.lr=1e6", "trainer.checkpoint_minutes=10", "hydra.run.dir=run")
    assert code == 1 and err.count("\n") == 1
    assert "not finite at step" in err and "smaller optimizer.lr" in err and "last.pt" in err
    assert checkpoint.load(aetrain.folder / "run" / "checkpoints" / "last.pt")["step"] == 0


def test_out_of_memory_says_what_to_lower(aetrain):
    code, _, err = aetrain("data.limit=600", "trainer.batch_size=50", "device=cpu", "net.hidden=[2000000000]")
    assert code == 1 and err.count("\n") == 1
    assert "out of memory" in err and "trainer.batch_size=50" in err
