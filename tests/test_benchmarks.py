"""The programs that make the tables still run: each is started with its smallest sizes."""

import json
import subprocess

from tests.conftest import PYTHON


def test_the_speed_benchmark_measures_every_contender(tmp_path):
    out = tmp_path / "speed.json"
    words = ["--cases", "ae", "--rounds", "1", "--seconds", "0.05", "--no-compile", "--out", str(out)]
    done = subprocess.run([PYTHON, "-m", "benchmarks.speed", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = json.dumps(json.loads(out.read_text()))
    assert all(name in text for name in ("textbook", "fp32", "bf16"))
