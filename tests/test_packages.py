"""Models, networks and data sets from installed packages; the model is that of docs/adding.md, as it stands there."""

import importlib
import json
import os
import re
import subprocess
import tomllib

import pytest

from tests.conftest import PYTHON, SMALL, longer
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
    program = f"""
import aetrain
from aetrain.cli import main
assert main([*{SMALL}, "model=huber", "hydra.run.dir=run"]) == main(["resume=run", "trainer.max_steps=8"]) == 0
model = aetrain.load("run")
print(type(model).__module__, float(model.delta))
"""
    done = subprocess.run([PYTHON, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": f"{huber}{os.pathsep}{ROOT}"})  # fmt: skip
    assert "resumed at step 6 of 8" in done.stdout, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "done" and result["metrics"]["test/recon"] > 0
    module, delta = done.stdout.splitlines()[-1].split()
    assert module == "aetrain_huber.model" and float(delta) == pytest.approx(0.1)
    done = aetrain("resume=run", "trainer.max_steps=9", cwd=tmp_path, site=[], code=2)  # uninstalled
    assert "'huber' is no model" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "launcher",
    [
        "mode=stack",
        *(longer(way) for way in ("mode=sequential", "mode=processes", "basic", "joblib")),
    ],
)
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


EXTRA = {
    "aetrain_extra/__init__.py": "",
    "aetrain_extra/config.py": '''
from dataclasses import dataclass

from aetrain.config.fields import setting
from aetrain.config.schema.data import Unsplit
from aetrain.config.schema.net import Net


@dataclass
class Stripes(Unsplit):
    """Bright columns, labelled by their place."""

    width: int = setting("side of an image", min=2, unit="pixels")


@dataclass
class Scaled(Net):
    """A linear layer of a scaled image."""

    gain: float = setting("what the image is multiplied by", above=0)
''',
    "aetrain_extra/data.py": """
from aetrain.data.card import Card


def card(config):
    names = tuple(map(str, range(config.width)))
    return Card((1, config.width, config.width), 50 * config.width, None, n_classes=config.width, classes=names,
                counts={"train": (50,) * config.width}, is_sorted=True)


def load(config):
    import torch

    from aetrain.data.split import Split

    labels = torch.arange(config.width).repeat_interleave(50)
    images = torch.zeros(len(labels), 1, config.width, config.width, dtype=torch.uint8)
    images[torch.arange(len(labels)), :, :, labels] = 255
    return {"train": Split(images, labels)}
""",
    "aetrain_extra/net.py": """
import math

from torch import nn


class Encoder(nn.Module):
    def __init__(self, gain, pixels, out):
        super().__init__()
        self.gain, self.layer = gain, nn.Linear(pixels, out)

    def forward(self, x):
        return self.layer(self.gain * x.flatten(1))


class Decoder(nn.Module):
    def __init__(self, latent_dim, image_shape):
        super().__init__()
        self.layer, self.image_shape = nn.Linear(latent_dim, math.prod(image_shape)), image_shape
        self.output_bias = self.layer.bias

    def forward(self, z):
        return self.layer(z).unflatten(1, self.image_shape)


def encoder(config, image_shape, out):
    return Encoder(config.gain, math.prod(image_shape), out)


def decoder(config, latent_dim, image_shape, unit_norm=False):
    return Decoder(latent_dim, image_shape)
""",
    "aetrain_extra/conf/data/stripes.yaml": """
defaults:
  - /hydra/schema/data/stripes@_here_
  - _self_
name: stripes
width: 9
val_size: null
test_size: null
limit: null
classes: null
binarization: none
flip: false
shift: 0
resident: auto
""",
    "aetrain_extra/conf/net/scaled.yaml": """
defaults:
  - /hydra/schema/net/scaled@_here_
  - _self_
name: scaled
gain: 2.0
""",
}


@pytest.fixture(scope="module")
def extra(tmp_path_factory):
    """The folder into which a package with a network and a data set is installed."""
    folder = tmp_path_factory.mktemp("site")
    for name, content in EXTRA.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content.lstrip(), encoding="utf-8")
    install(folder, "aetrain-extra", {"aetrain.nets": {"scaled": "aetrain_extra.config:Scaled"},
                                      "aetrain.data": {"stripes": "aetrain_extra.config:Stripes"}})  # fmt: skip
    return folder


def test_a_network_and_a_data_set(extra, tmp_path):
    """Known without torch, checked like ours, trained, continued and loaded."""
    program = """
import sys
import aetrain
from aetrain.cli import main
WORDS = ["data=stripes", "net=scaled", "trainer.batch_size=50", "trainer.epochs=1", "device=cpu", "model.latent_dim=2"]
assert main([*WORDS, "--help"]) == 0
assert [main([*WORDS, word]) for word in ("data.width=1", "net.gain=0", "data.classes=[9]", "data.heigth=3")] == [2] * 4
assert "torch" not in sys.modules and "aetrain_extra.net" not in sys.modules
assert main([*WORDS, "hydra.run.dir=run", "data.classes=[1,7]", "data.flip=true"]) == 0
assert main(["resume=run", "trainer.epochs=2"]) == 0
model = aetrain.load("run")
print(type(model.encoder).__module__, model.facts.image_shape, model.facts.n_classes, model.encoder.gain)
"""
    done = subprocess.run([PYTHON, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env=os.environ | {"PYTHONPATH": f"{extra}{os.pathsep}{ROOT}"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "side of an image" in done.stdout and "what the image is multiplied by" in done.stdout
    assert done.stdout.splitlines()[-1] == "aetrain_extra.net (1, 9, 9) 2 2.0"
    assert "resumed at step 1 of 2" in done.stdout
    for told in ("data.width=1", "net.gain=0", "there is no class '9'", "data.heigth"):
        assert told in done.stderr
    done = aetrain("resume=run", cwd=tmp_path, site=[], code=2)  # uninstalled
    assert "'scaled' is no net" in done.stderr and done.stderr.count("\n") == 1
