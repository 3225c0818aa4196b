"""Every YAML of every group composes and trains a few steps."""

import dataclasses
import json

import pytest

from aetrain.compose import composed, without_hydra
from aetrain.config.conf import CONF
from aetrain.config.tables import GROUPS as TABLES
from aetrain.config.tables import ON_RUNS
from aetrain.data import vision
from tests.conftest import compose, longer

GROUPS = ["model", "net", "prior", "data", "device", "optimizer", "trainer"]  # experiments: test_experiments.py
OPTIONS = sorted((group, path.stem) for group in GROUPS for path in (CONF / group).glob("[a-z]*.yaml"))

# A GPU, a Mac, one's own files, a network.
NEEDY = [
    ("device", "cuda"),
    ("device", "mps"),
    *(("data", name) for name in ("array", "folder", "parquet", "celeba", *vision.SETS)),
]


def test_the_options_are_found():
    assert ("model", "vae") in OPTIONS and ("data", "mnist") in OPTIONS and len(OPTIONS) >= 14


def tried(group, option):
    """The models train at every run of the tests in test_run.py already."""
    seldom = group == "model" or (group == "data" and OPTIONS.index((group, option)) % 2)
    return longer(group, option) if seldom else (group, option)


@pytest.mark.parametrize(("group", "option"), [tried(*o) for o in OPTIONS if o not in NEEDY])
def test_it_trains(small_run, group, option):
    device = [] if group == "device" else ["device=cpu"]
    noiseless = ["model=ae", "trainer.batch_size=300", "optimizer.iterations=2"] if option == "lbfgs" else []
    run = small_run(f"{group}={option}", *device, *noiseless, "trainer.max_steps=2")
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "done" and result["metrics"]["test/loss"] > 0


@pytest.mark.parametrize("arch", ["conv", *map(longer, ("linear", "mlp", "gated", "residual", "burgess"))])
def test_every_architecture_trains(small_run, arch):
    small_run("model=vae", f"net={arch}", "model.likelihood=gaussian", "model.sigma=0.5", "trainer.max_steps=2")


def every_third(options):
    return [option if i % 3 == 0 else longer(*option) for i, option in enumerate(options)]


@pytest.mark.parametrize(
    ("group", "option"), every_third([(group, name) for group in TABLES for name in TABLES[group]])
)
def test_every_key_says_what_it_is(aetrain, group, option):
    """--help of every option shows every key with its meaning, from the declarations."""
    fitting = {"lbfgs": ["model=ae"], "report": []}.get(option, [])
    code, page, err = aetrain(f"{group}={option}", *fitting, "--help")
    assert code == 0, err
    for field in dataclasses.fields(TABLES[group][option]):
        if field.name not in ("name", "schedule"):
            key = field.name if option in ON_RUNS else f"{group}.{field.name}"
            line = page.index(f"  {key}=")
            assert " ".join(field.metadata["help"].split()) in " ".join(page[line : line + 700].split())


def test_composing_leaves_nothing_for_the_next():
    """Hydra's store of the schemas is not copied for each."""
    first, _ = composed(["model=sparse", "model.rho=0.3"])
    assert composed(["model=vae", "net.hidden=[3]"])[0].net.hidden == [3]
    again, _ = composed(["model=sparse", "model.rho=0.3"])
    assert without_hydra(again) == without_hydra(first) and composed([])[0].net.hidden == [400]


def test_the_table_of_defaults():
    """The textbook VAE: 784-400-20, ReLU, Bernoulli on grey MNIST, Adam 1e-3, batch 128."""
    config = compose()
    assert (config.model.name, config.net.hidden, config.model.latent_dim) == ("vae", [400], 20)
    assert (config.net.activation, config.model.likelihood, config.data.binarization) == ("relu", "bernoulli", "none")
    assert (config.optimizer.name, config.optimizer.lr, config.trainer.batch_size) == ("adam", 1e-3, 128)
