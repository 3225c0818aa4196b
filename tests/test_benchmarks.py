"""The programs that make the tables still run: each is started with its smallest sizes."""

import json
import subprocess

import pytest

from tests.conftest import PYTHON


@pytest.mark.longer
def test_the_speed_benchmark_measures_every_contender(tmp_path):
    out = tmp_path / "speed.json"
    words = ["--cases", "ae", "--rounds", "1", "--seconds", "0.05", "--no-compile", "--out", str(out)]
    done = subprocess.run([PYTHON, "-m", "benchmarks.speed", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = json.dumps(json.loads(out.read_text()))
    assert all(name in text for name in ("textbook", "fp32", "bf16"))


@pytest.mark.longer
def test_the_gpu_program_goes_through_its_steps_on_the_cpu(tmp_path):
    out = tmp_path / "gpu.json"
    words = ["--dry", "--only", "equal,resume,published", "--minutes", "3", "--out", str(out)]
    done = subprocess.run([PYTHON, "-m", "benchmarks.gpu", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(out.read_text())["rows"]
    assert {row["step"]: row["status"] for row in rows if row["case"] == "status"} == dict.fromkeys(
        ("equal", "resume", "published"), "done"
    )
    assert next(row for row in rows if row["contender"] == "resumed")["differing"] == []
    assert all(row["difference"] == 0 for row in rows if row["step"] == "equal" and "difference" in row)


def test_a_step_that_takes_too_long_is_cut_and_what_it_found_is_kept(tmp_path, monkeypatch):
    from benchmarks import gpu

    slow = 'import time; print(\'{"case": "a", "contender": null, "ms": 1}\', flush=True); time.sleep(60)'
    popen = subprocess.Popen
    monkeypatch.setattr(gpu.subprocess, "Popen", lambda command, **how: popen([PYTHON, "-c", slow], **how))
    told = gpu.done("speed", 2, True, tmp_path / "gpu.json", {"date": "2026-01-01", "commit": "x"})
    assert told == "cut after 2 s"
    (row,) = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert (row["step"], row["case"], row["ms"]) == ("speed", "a", 1)
