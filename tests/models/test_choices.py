"""Every choice of every choice-valued key of a model trains, from its defaults, to more than the mean image."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import torch

from aetrain import models
from aetrain.config.tables import MODELS
from aetrain.config.tree import identity
from aetrain.data.load import load
from aetrain.device import Precision
from aetrain.evaluation.collapse import COLLAPSED, variance_share
from aetrain.training.batches import Batches
from aetrain.training.optimizer import build_optimizer
from aetrain.training.step import Latch, make_step
from tests.conftest import compose

STEPS = 40
SMALL = ["data.limit=2000", "data.val_size=500", "device=cpu", "optimizer.lr=5e-3"]
SHARED = ("ae", "vae")  # on which the keys that all models share are tried
NEEDED = {
    "output": ["model.likelihood=gaussian", "model.sigma_mode=optimal"],
    "sigma_mode": ["model.likelihood=gaussian"],
    "encoder": ["model.mmd_weight=1"],  # with more, draws that follow the prior hold on to it for longer
}


def declared(cls: type) -> Iterator[dataclasses.Field]:
    """The fields that a model's dataclass does not share with another's."""
    shared = {name for base in cls.__mro__[2:] if dataclasses.is_dataclass(base) for name in base.__annotations__}
    yield from (field for field in dataclasses.fields(cls) if field.name not in shared)


def choices() -> Iterator[list[str]]:
    for name, cls in MODELS.items():
        yield [f"model={name}"]
        for field in dataclasses.fields(cls) if name in SHARED else declared(cls):
            for choice in field.metadata.get("choices", ()):
                yield [f"model={name}", *NEEDED.get(field.name, ()), f"model.{field.name}={choice}"]


@pytest.fixture(scope="module")
def splits():
    return load(compose("model=ae", *SMALL).data, torch.device("cpu"))


@pytest.fixture(scope="module")
def seen():
    """Configurations that have been trained: a default is a choice of several keys."""
    return set()


def marked(i: int, words: list[str]):
    """Every model, and every other choice of its keys, at every run of the tests; in the longer ones all of them, and
    on `ae` the keys that all models share."""
    seldom = len(words) > 1 and (words[0] == "model=ae" or i % 2)
    return pytest.param(words, marks=[pytest.mark.longer] if seldom else [])


@pytest.mark.parametrize("words", map(marked, *zip(*enumerate(choices()), strict=True)), ids=" ".join)
def test_it_learns_more_than_the_mean_image(splits, seen, words):
    config = compose(*words, *SMALL)
    if identity(config) in seen:
        return
    seen.add(identity(config))
    torch.manual_seed(0)
    cpu = torch.device("cpu")
    model = models.build(config.model, config.net, config.prior, splits.facts())
    optimizer = build_optimizer(config.optimizer, model)
    batches = Batches(splits.train, config.trainer.batch_size, seed=0)
    step = make_step(model, optimizer, Precision.of("fp32", cpu), None, Latch(cpu))
    for number in range(STEPS):
        step(*batches.get(number))
    assert variance_share(model, splits.test, 250) > 2 * COLLAPSED
