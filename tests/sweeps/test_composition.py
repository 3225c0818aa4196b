"""A sweep's members composed with their options once are what Hydra composes from all their words."""

import time

import pytest
from hydra.errors import HydraException
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from aetrain.compose import composed
from aetrain.sweeps.launch.composition import Composition

OPTIONS = ["model=vae", "model=beta_vae", "model=sparse", "net=conv", "optimizer=sgd", "experiment=deep_ae",
           "data=digits", "+debug=fast", "device=cpu", "no=group", "model=nothing"]  # fmt: skip
VALUES = ["seed=3", "seed=4", "model.beta=2", "model.beta=0.5", "model.beta=${seed}", "model.rho=0.1", "net.hidden=[3]",
          "net.hidden=[]", "trainer.epochs=2", "trainer.patience=null", "trainer.nothing=1", "init=null", "init=a/b",
          "+model.schedule.beta.kind=linear", "model.schedule.beta.kind=linear", "model.schedule={}",
          "~trainer.patience", "hydra.job.chdir=false", "++trainer.epochs=4", "trainer={epochs:3}", "data.root=a/b",
          "model@other=vae", "data.limit=1e3", "net.channels=[8,16]", "seed.deeper=1", "optimizer.lr=???"]  # fmt: skip


@pytest.fixture(scope="module")
def sweep():
    return composed(["hydra.launcher.mode=sequential"])


def told(compose):
    """The composition, or the words and the reason with which it is refused."""
    try:
        return compose()
    except HydraException as error:
        return f"{error} {error.__cause__}"


def nodes(node, key=""):
    """Every node's key, kind, content and flags."""
    if isinstance(node, DictConfig) and not (node._is_none() or node._is_missing()):
        yield key, OmegaConf.get_type(node), dict(node._metadata.flags or {})
        for name in node:
            yield from nodes(node._get_node(name), f"{key}.{name}")
    else:
        yield key, type(node), node._value()


def check_equal(sweep, words):
    config, context = sweep
    composition = Composition(config, context)
    hydras = told(lambda: context.config_loader.load_sweep_config(config, words))
    for _ in range(2):  # the second has its options from the first
        ours = told(lambda: composition.member(words))
        if isinstance(hydras, str):
            assert ours == hydras
        else:
            assert OmegaConf.to_container(ours) == OmegaConf.to_container(hydras)
            assert list(nodes(ours)) == list(nodes(hydras))


@pytest.mark.parametrize("line", [
    "seed=3 model=beta_vae model.beta=2 model.schedule.beta.kind=linear",
    "model=sparse net=conv model.rho=0.1 net.channels=[8,16] optimizer=sgd trainer.patience=null",
    "experiment=deep_ae trainer.epochs=2 trainer.epochs=3 init=a/b",
    "model.beta=2 no=group", "no=group model.beta=2", "seed.deeper=1", "hydra.job.chdir=false seed=4",
    "++trainer.epochs=4 ~trainer.patience seed=5", "trainer={epochs:3}", "data.root=a/b seed=${data.val_size}",
])  # fmt: skip
def test_is_hydras(sweep, line):
    check_equal(sweep, line.split())


@pytest.mark.longer
@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(OPTIONS), max_size=2, unique=True), st.lists(st.sampled_from(VALUES), max_size=4),
       st.randoms())  # fmt: skip
def test_is_hydras_whatever_the_words(sweep, options, values, random):
    words = [*options, *values]
    random.shuffle(words)
    check_equal(sweep, words)


def test_members_share_nothing(sweep):
    composition = Composition(*sweep)
    one, other = composition.member(["seed=1"]), composition.member(["seed=2"])
    one.net.hidden.append(7)
    assert (one.seed, other.seed, list(other.net.hidden)) == (1, 2, [400])


def test_is_several_times_faster(sweep):
    config, context = sweep
    composition = Composition(config, context)

    def seconds(compose):
        began = time.process_time()
        for n in range(5):
            compose([f"model.beta={n}", "model=beta_vae"])
        return time.process_time() - began

    composition.member(["model=beta_vae"])
    assert seconds(composition.member) < seconds(lambda w: context.config_loader.load_sweep_config(config, w)) / 3
