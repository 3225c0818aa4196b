"""A model that decodes every image to the same one is found, and what is said of it can be followed."""

from __future__ import annotations

import pytest
import torch

from aetrain.evaluation.collapse import FEW_STEPS, finding, variance_share
from tests.conftest import build, compose, unlabelled


@pytest.fixture
def split(images):
    return unlabelled((images * 255).to(torch.uint8))


def silenced(*words):
    """A model whose code does not reach the decoded image."""
    model = build(*words)
    with torch.no_grad():
        model.decoder.layers[0].weight.zero_()
    return model


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["model=ae"], "optimizer.lr"),
        (["model=sparse", "model.penalty=l1"], "model.sparsity_weight than 0.1"),
        (["model=sparse", "model.penalty=topk", "model.tied=false", "model.k=3"], "model.k than 3"),
        (["model=contractive", "model.tied=false"], "model.contraction_weight than 0.1"),
        (["model=beta_vae", "model.beta=1000"], "model.beta than 1000"),
        (["model=beta_vae", "model.capacity=0"], "model.capacity than 0"),
        (["model=vae"], "model=beta_vae model.beta=1 model.schedule.beta.kind=linear"),
    ],
)
def test_collapse_to_one_image_is_found_in_every_model(split, words, advice):
    model = silenced(*words)
    assert variance_share(model, split) < 1e-6
    told = finding(model, split, steps=5000)
    assert "collapsed to the mean image" in told and advice in told


def test_a_short_run_is_told_to_train_longer(split):
    told = finding(silenced("model=vae"), split, steps=3)
    assert told.startswith("after 3 steps") and told.endswith("train longer") and "collapse" not in told
    assert FEW_STEPS > 3


def test_a_model_that_tells_images_apart_is_not_told_so(split):
    model = build("model=ae", "net=linear", "model.output=identity")
    with torch.no_grad():
        model.decoder.layers[0].weight.mul_(10)
    assert variance_share(model, split) > 0.01 and finding(model, split, steps=5000) is None


def test_identical_images_say_nothing():
    black = unlabelled(torch.zeros(10, 1, 28, 28, dtype=torch.uint8))
    assert finding(build("model=ae"), black, steps=5000) is None


def test_what_is_advised_is_a_configuration():
    compose("model=beta_vae", "model.beta=1", "model.schedule.beta.kind=linear")


def test_a_run_of_three_steps_is_not_told_of_posterior_collapse(aetrain):
    code, out, err = aetrain("data.limit=500", "data.val_size=100", "trainer.max_steps=3", "device=cpu")
    assert code == 0, err
    assert "collapse" not in out and "after 3 steps" in out
