"""Every YAML of every group composes and trains a few steps."""

import json
from pathlib import Path

import pytest

from aetrain.cli import CONF
from tests.conftest import compose

GROUPS = ["model", "data", "device", "optimizer", "trainer"]  # experiments: test_experiments.py
OPTIONS = sorted((group, path.stem) for group in GROUPS for path in (CONF / group).glob("*.yaml"))


def test_the_options_are_found():
    assert ("model", "vae") in OPTIONS and ("data", "mnist") in OPTIONS and len(OPTIONS) >= 14


@pytest.mark.parametrize(("group", "option"), [o for o in OPTIONS if o != ("device", "cuda")])
def test_it_trains(small_run, group, option):
    device = [] if group == "device" else ["device=cpu"]
    noiseless = ["model=ae", "trainer.batch_size=300", "optimizer.iterations=2"] if option == "lbfgs" else []
    run = small_run(f"{group}={option}", *device, *noiseless, "trainer.max_steps=2")
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "done" and result["metrics"]["test/loss"] > 0


@pytest.mark.parametrize("arch", ["linear", "mlp", "conv"])
def test_every_architecture_trains(small_run, arch):
    small_run("model=vae", f"model.arch={arch}", "model.likelihood=gaussian", "model.sigma=0.5")


@pytest.mark.parametrize("path", sorted(Path(CONF).rglob("*.yaml")), ids=lambda p: str(p.relative_to(CONF)))
def test_every_number_has_a_comment(path):
    if path.parts[-2] in ("job_logging", "hydra_logging", "help", "experiment") or path.name == "config.yaml":
        return
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if value.strip()[:1].isdigit():
            assert "#" in value, f"{path.name}: {key} has no comment"


def test_the_table_of_defaults():
    """The textbook VAE: 784-400-20, ReLU, Bernoulli on grey MNIST, Adam 1e-3, batch 128."""
    config = compose()
    assert (config.model.name, config.model.hidden, config.model.latent_dim) == ("vae", [400], 20)
    assert (config.model.activation, config.model.likelihood, config.data.binarization) == ("relu", "bernoulli", "none")
    assert (config.optimizer.name, config.optimizer.lr, config.trainer.batch_size) == ("adam", 1e-3, 128)
