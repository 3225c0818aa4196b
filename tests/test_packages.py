"""A model from an installed package: the files of docs/adding.md, as they stand there."""

import importlib
import json
import os
import re
import subprocess
import tomllib

import pytest

from tests.conftest import PYTHON, SMALL
from tests.test_docs import ROOT


def install(folder, name, groups):
    """As pip would leave it: a folder on sys.path, and its dist-info beside. groups: entry points by group."""
    info = folder / f"{name.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    lines = [line for group, points in groups.items() for line in
             (f"[{group}]", *(f"{point} = {value}" for point, value in points.items()))]  # fmt: skip
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def huber(tmp_path_factory):
    """The folder into which the package of docs/adding.md is installed."""
    folder, text = tmp_path_factory.mktemp("site"), (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
    named = r"^`([\w/.]+)`[^\n]*\n(?:[^\n]+\n)*\n```\w+\n(.*?)^```$"
    files = dict(re.findall(named, text, re.DOTALL | re.MULTILINE))
    assert sorted(files) == ["aetrain_huber/conf/model/huber.yaml", "aetrain_huber/config.py", "aetrain_huber/model.py",
                             "pyproject.toml"]  # fmt: skip
    project = tomllib.loads(files.pop("pyproject.toml"))["project"]
    for name, content in {**files, "aetrain_huber/__init__.py": ""}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    install(folder, project["name"], project["entry-points"])
    return folder


def aetrain(*words, cwd, site, code=0):
    path = os.pathsep.join([*map(str, site), os.environ["PYTHONPATH"]])
    done = subprocess.run([PYTHON, "-m", "aetrain", *words], cwd=cwd, env=os.environ | {"PYTHONPATH": path},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def test_it_is_in_help_and_cfg_without_torch(huber, tmp_path):
    program = """
import sys
from aetrain.cli import main
assert main(["model=huber", "--help"]) == main(["model=huber", "--cfg", "job"]) == 0
assert main(["delta=1"]) == 2
assert "torch" not in sys.modules and "aetrain_huber.model" not in sys.modules
"""
    done = subprocess.run([PYTHON, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": f"{huber}{os.pathsep}{ROOT}"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "huber" in done.stdout and "model.delta=0.1" in done.stdout and "delta: 0.1" in done.stdout
    assert done.stderr == "aetrain: error: unknown key 'delta': did you mean model=huber model.delta=1?\n"
    assert not list(tmp_path.iterdir())


def test_it_trains_resumes_and_loads(huber, tmp_path, monkeypatch):
    aetrain(*SMALL, "model=huber", "hydra.run.dir=run", cwd=tmp_path, site=[huber])
    done = aetrain("resume=run", "trainer.max_steps=8", cwd=tmp_path, site=[huber])
    assert "resumed at step 6 of 8" in done.stdout
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "done" and result["metrics"]["test/recon"] > 0
    program = "import aetrain; m = aetrain.load('run'); print(type(m).__module__, float(m.delta))"
    done = subprocess.run([PYTHON, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": f"{huber}{os.pathsep}{ROOT}"})  # fmt: skip
    module, delta = done.stdout.split()
    assert module == "aetrain_huber.model" and float(delta) == pytest.approx(0.1)
    done = aetrain("resume=run", "trainer.max_steps=9", cwd=tmp_path, site=[], code=2)  # uninstalled
    assert "'huber' is no model" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("launcher", ["mode=processes", "mode=sequential", "mode=stack", "basic", "joblib"])
def test_a_sweep_under_every_launcher(huber, tmp_path, launcher):
    if launcher == "joblib" and not importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher"):
        pytest.skip("needs the extra sweep")
    how = f"hydra.launcher.{launcher}" if "=" in launcher else f"hydra/launcher={launcher}"
    words = [*SMALL, "trainer.max_steps=1", "model=huber", "model.delta=0.1,0.2", how, "hydra.sweep.dir=sweep"]
    aetrain("-m", *words, cwd=tmp_path, site=[huber])
    results = [json.loads(path.read_text())["status"] for path in (tmp_path / "sweep").glob("?_*/result.json")]
    assert results == ["done", "done"]


def test_mistakes_of_a_package_name_it(huber, tmp_path):
    def offer(name, **points):
        install(tmp_path / name, name, {"aetrain.models": points})
        return tmp_path / name

    broken = offer("broken-thing", thing="no_such_module.config:Thing")
    taken = offer("another-vae", vae="aetrain_huber.config:Huber")
    twice = offer("another-huber", huber="aetrain_huber.config:Other")
    nothing = offer("no-class", nothing="json:dumps")
    work = tmp_path / "work"
    work.mkdir()
    for site, told in ((broken, "broken-thing offers thing"), (nothing, "no-class offers nothing"),
                       (twice, "aetrain-huber and another-huber both offer huber")):  # fmt: skip
        done = aetrain("model=vae", cwd=work, site=[site, huber], code=2)
        assert done.stderr.count("\n") == 1 and told in done.stderr
    done = aetrain("model=vae", "--cfg", "job", cwd=work, site=[taken, huber])
    assert "z_in_evaluation" in done.stdout
    assert done.stderr.count("\n") == 1 and "another-vae offers vae" in done.stderr and "ours is taken" in done.stderr
    assert not list(work.iterdir())
