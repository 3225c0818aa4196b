"""Trained runs, once for all tests of tasks."""

import pytest

import aetrain as package
from aetrain.cli import main
from aetrain.data import mnist
from tests import conftest
from tests.conftest import SMALL

TINY = (*SMALL, "data.val_size=100", "net=mlp", "net.hidden=[16]", "model.latent_dim=3", "device.threads=1",
        "trainer.grid_epochs=9")  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def read_once():
    """MNIST is read once, here too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "load", conftest._read_once)
        yield


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run of a VAE, with a schedule of its hparam, importance samples and the best weights tested."""
    words = ["model=beta_vae", "model.beta=2", "model.schedule.beta.kind=cosine", "model.schedule.beta.end=0.5",
             "trainer.nll_samples=8", "trainer.test=best", "seed=3"]  # fmt: skip
    return package.train(package.config(*TINY, *words), tmp_path_factory.mktemp("trained") / "run").folder


@pytest.fixture(scope="session")
def swept(tmp_path_factory):
    """A sweep over two betas."""
    folder = tmp_path_factory.mktemp("swept") / "sweep"
    line = ["-m", *TINY, "model=beta_vae", "model.beta=1,4", "hydra.launcher.mode=sequential"]
    assert main([*line, f"hydra.sweep.dir={folder}"]) == 0
    return folder
