"""The ways to run a sweep: what they leave on disk, and what a signal, a kill or a bug does to them."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import yaml
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from aetrain.device import cpu_quota
from aetrain.sweeps.launch import launched, ways
from aetrain.sweeps.members import Member
from tests.conftest import PYTHON, SMALL, compose, read_events
from tests.test_resume import assert_identical, result

LINE = ["-m", "model=beta_vae", "model.beta=1,4", "net.hidden=[32]", *SMALL]
LONG = ["-m", "model=beta_vae", "model.beta=1,4", "net.hidden=[32]", "data.limit=300", "trainer.batch_size=50",
        "trainer.log_every=2", "trainer.max_steps=60", "trainer.epochs=10", "trainer.grid_epochs=10",
        "trainer.checkpoint_minutes=1e-9",
        "device=cpu", "device.threads=1"]  # fmt: skip


def members(folder):
    return sorted(path.parent for path in folder.glob("*/.hydra"))


def traits(run):
    """What a reader finds in a run's folder, up to the values."""
    found = read_events(run)
    events, row = found.Tags(), HParamsPluginData()
    row.ParseFromString(found.summary_metadata["_hparams_/session_start_info"].plugin_data.content)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    names = sorted(str(p.relative_to(run)).partition(".tfevents")[0] for p in run.rglob("*") if p.is_file())
    return {
        "files": names,
        "tags": {kind: sorted(events[kind]) for kind in ("scalars", "images", "histograms")},
        "hparams": sorted(row.session_start_info.hparams),  # TensorBoard's table has one row per run
        "rows": [(step["step"], sorted(step)) for step in rows],
        "result": sorted(result(run)),
        "config": (run / "config.yaml").read_text(),
    }


def test_all_ways_leave_the_same_on_disk(aetrain):
    """Also hydra/launcher=basic, Hydra's own: the way of a single run, member by member."""
    line = [*LINE, "seed=0,1"]
    assert aetrain(*line, "hydra/launcher=basic", "hydra.sweep.dir=basic")[0] == 0
    code, out, err = aetrain(*line, "hydra.launcher.mode=stack", "hydra.sweep.dir=stack")
    assert code == 0, err
    assert out.count("a stack of 2:") == 2  # members with different seeds draw different noise
    basic, stack = members(aetrain.folder / "basic"), members(aetrain.folder / "stack")
    for one, other in zip(stack, basic, strict=True):
        assert one.name == other.name and traits(one) == traits(other)
        assert result(one)["metrics"] == pytest.approx(result(other)["metrics"], rel=3e-3)
        size, expected = ((run / "checkpoints" / "last.pt").stat().st_size for run in (one, other))
        assert size == pytest.approx(expected, rel=0.01)  # a member's own numbers, not the whole stack's
    labels = ["0 model.beta=1 seed=0", "1 model.beta=1 seed=1", "2 model.beta=4 seed=0", "3 model.beta=4 seed=1"]
    assert_lines_are_labelled(out, dict(zip(labels, stack, strict=True)))

    code, out, err = aetrain(*LINE, "seed=1", "hydra.launcher.mode=processes", "hydra.sweep.dir=processes")
    assert code == 0, err
    processes = members(aetrain.folder / "processes")
    for one, other in zip(processes, [basic[1], basic[3]], strict=True):
        assert traits(one) == traits(other)
        assert_identical(one, other)
    assert_lines_are_labelled(out, dict(zip(["0 model.beta=1", "1 model.beta=4"], processes, strict=True)))


def test_the_gpus_of_a_machine_are_shared_out(aetrain, monkeypatch):
    """Pretended ones: the processes do not see them, and train on the CPU. Those that are through make room."""
    for module in (launched, ways):
        monkeypatch.setattr(module, "cuda_device_count", lambda: 2)
    line = ["-m", "model=vae", "seed=0,1,2", "net.hidden=[8]", *(w for w in SMALL if w != "device=cpu")]
    code, out, err = aetrain(*line, "hydra.sweep.dir=sweep")
    assert code == 0, err
    assert "3 runs, 2 at a time in processes of" in out and "on 2 GPUs" in out
    index = [yaml.safe_load((run / "config.yaml").read_text())["device"]["index"] for run in members(Path("sweep"))]
    assert index[:2] == [0, 1] and index[2] in (0, 1)
    code, out, err = aetrain("resume=sweep")  # they are the members that they were
    assert code == 0 and out.count("nothing to do") == 3, err


def test_runs_that_are_to_be_on_a_certain_gpu_stay_there(monkeypatch):
    for module in (launched, ways):
        monkeypatch.setattr(module, "cuda_device_count", lambda: 2)

    def way(*overrides, mode="auto", count=2):
        one = Member("0_a", compose(*overrides), overrides)
        runs = [launched.Launched(None, one, "0")] * count
        sweep = ways.Sweep(None, None, None, mode, None, None)
        return sweep._mode(runs), sweep._places(runs)

    assert way("device.threads=1") == ("processes", [0, 1])
    assert way("device.threads=1", count=4)[0] == "stack"  # which takes one GPU, and less time
    assert way("device.index=0") == ("stack", [None] * cpu_quota())
    assert way("device=cpu") == ("processes" if cpu_quota() > 1 else "sequential", [None] * min(2, cpu_quota()))


def assert_lines_are_labelled(out, folders):
    """Each member's lines are told behind its label, and are in its own log and no other's."""
    for label, folder in folders.items():
        said = [line.partition("] ")[2] for line in out.splitlines() if line.startswith(f"[{label}] ")]
        log = (folder / "aetrain.log").read_text()
        assert any(line.startswith("epoch 1/10") for line in said) and all(line in log for line in said)
        assert log.count("epoch 1/10") == 1


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("hydra.launcher.mode=threads", "choose from: auto, stack, processes, sequential"),
        ("hydra.launcher.workers=0", "greater than 0"),
        ("hydra.launcher.workers=1.5", "whole number"),
        ("hydra.launcher.memory_gb=much", "greater than 0"),
    ],
)
def test_a_wrong_key_of_the_launcher_is_told(aetrain, word, answer):
    code, _, err = aetrain(*LINE, word)
    assert code == 2 and err.count("\n") == 1 and word in err and answer in err
    assert not list(aetrain.folder.iterdir())


# --- processes


def once(condition, action):
    """Do something as soon as something is the case, while the sweep runs in this thread."""

    def watch():
        for _ in range(2000):
            time.sleep(0.02)
            if condition():
                action()
                return

    threading.Thread(target=watch, daemon=True).start()


def has_steps(folder, rows=3):
    """Whether both members have logged so many rows."""
    logs = [path / "metrics.jsonl" for path in members(folder)]
    return len(logs) == 2 and all(log.exists() and log.read_bytes().count(b"\n") >= rows for log in logs)


def test_a_sweep_ends_with_checkpoints_on_sigterm_and_goes_on(aetrain):
    sweep = aetrain.folder / "sweep"
    once(lambda: has_steps(sweep), lambda: os.kill(os.getpid(), signal.SIGTERM))
    code, _, err = aetrain(*LONG, "hydra.launcher.mode=processes", "hydra.sweep.dir=sweep")
    assert code == 143 and err.count("\n") == 1 and "continue with aetrain resume=sweep" in err
    assert [result(member)["status"] for member in members(sweep)] == ["interrupted", "interrupted"]
    code, out, err = aetrain("resume=sweep")
    assert code == 0, err
    assert out.count("resumed at step") == 2
    assert aetrain(*LONG, "hydra.launcher.mode=sequential", "hydra.sweep.dir=reference")[0] == 0
    for one, other in zip(members(sweep), members(aetrain.folder / "reference"), strict=True):
        assert_identical(one, other)


def test_a_member_that_is_killed_takes_nothing_with_it(aetrain):
    sweep = aetrain.folder / "sweep"
    once(lambda: has_steps(sweep), lambda: os.kill(int((members(sweep)[0] / ".lock").read_text()), signal.SIGKILL))
    code, _, err = aetrain(*LONG, "hydra.launcher.mode=processes", "hydra.sweep.dir=sweep")
    assert code == 1 and err.count("\n") == 1
    assert "1 of 2 runs failed: 0 model.beta=1: its process was killed by SIGKILL; was there enough memory?" in err
    assert not (members(sweep)[0] / "result.json").exists() and result(members(sweep)[1])["status"] == "done"
    assert aetrain("resume=sweep")[0] == 0
    assert result(members(sweep)[0])["status"] == "done"


def lives(pid):
    """Whether a process runs; one that has ended may wait for somebody to take note."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.longer
def test_a_sweep_that_is_killed_leaves_no_process_behind(aetrain):
    """SIGKILL, which nobody can pass on: the members end by themselves, and the sweep can be resumed at once."""
    sweep = aetrain.folder / "sweep"
    command = [PYTHON, "-m", "aetrain", *LONG, "hydra.launcher.mode=processes", "hydra.sweep.dir=sweep"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not has_steps(sweep):
        assert process.poll() is None
        time.sleep(0.02)
    pids = [int((member / ".lock").read_text()) for member in members(sweep)]
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(lives(pid) for pid in pids):
        assert time.monotonic() < deadline, "the members go on without their sweep"
        time.sleep(0.02)
    code, _, err = aetrain("resume=sweep")
    assert code == 0, err
    assert [result(member)["status"] for member in members(sweep)] == ["done", "done"]
