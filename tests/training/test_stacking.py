"""A stack against its members alone: weights, clipping, early ends, failures."""

import dataclasses
import functools
import gc
import json
from contextlib import ExitStack

import pytest
import torch

from aetrain.data.load import load
from aetrain.data.split import Split, Splits
from aetrain.errors import RunFailed
from aetrain.tasks.train import conclude, started, write_off
from aetrain.training.loop import Training
from aetrain.training.signals import Requests
from aetrain.training.stacking import Stack
from tests.conftest import compose, longer

CPU = torch.device("cpu")
SMALL = ["data.limit=4000", "trainer.batch_size=20", "trainer.log_every=50", "model.latent_dim=4", "device=cpu",
         "trainer.grid_epochs=100", "trainer.checkpoint_epochs=100", "trainer.epochs=1"]  # fmt: skip


@functools.cache
def splits(where=CPU) -> Splits:
    """MNIST at half the side, 200 steps to an epoch: a step is then mostly what a stack changes."""
    full = load(compose("data.limit=4000").data, where)
    small = {
        name: Split(split.images[:, :, 2:26:2, 2:26:2].contiguous(), split.labels)
        for name, split in {"train": full.train, "val": full.val, "test": full.test}.items()
    }
    few = {name: Split(split.images[:100], split.labels[:100]) for name, split in small.items()}
    return Splits(**(few | {"train": small["train"]}), n_classes=10)


def members(hparam, values, *overrides):
    """A configuration for every value of the model's hparam."""
    config = compose(*SMALL, *overrides)
    return [dataclasses.replace(config, model=dataclasses.replace(config.model, **{hparam: v})) for v in values]


def end(training):
    """What a training has come to."""
    return {name: p.detach().clone() for name, p in training.model.state_dict().items()}


def alone(configs, folder, where=CPU):
    ends = []
    for k, config in enumerate(configs):
        with started(config, folder / f"alone{k}", [], splits(where), where, Requests(), None) as training:
            try:
                training.fit()
                conclude(training)
            except RunFailed as error:
                write_off(training, error)
            ends.append(end(training))
    return ends


def stacked(configs, folder, on_end=lambda name, training: None, where=CPU):
    """The members' weights when each has come to its end."""
    ends = {}

    def finish(name, training):
        ends[name] = end(training)
        conclude(training)
        on_end(name, training)

    def fail(name, training, error):
        ends[name] = None
        write_off(training, error)

    with ExitStack() as folders:
        trainings = {
            f"stacked{k}": folders.enter_context(
                started(config, folder / f"stacked{k}", [], splits(where), where, Requests(), None, stacked=True)
            )
            for k, config in enumerate(configs)
        }
        Stack(trainings).fit(finish, fail)
    return [ends[name] for name in trainings]


def result(folder):
    return json.loads((folder / "result.json").read_text())


GAUSSIAN = ["model.likelihood=gaussian", "net.hidden=[16]"]
MLP = ["net=mlp", "net.hidden=[16]"]
FAMILIES = {
    "ae": ("sigma", [0.5, 1.0], ["model=ae", "net=conv", "net.channels=[4]", GAUSSIAN[0]]),
    "dae": ("corruption_level", [0.0, 0.5], ["model=dae", "net.hidden=[16]"]),
    "sparse kl": ("rho", [0.02, 0.5], ["model=sparse"]),
    "sparse ema": ("rho_decay", [0.5, 0.9], ["model=sparse", "model.rho_hat=ema"]),
    "sparse aux": ("aux_weight", [0.1, 1.0], ["model=sparse", "model.penalty=topk", "model.k=2", "model.latent_dim=32",
                                              "model.k_aux=4", "model.dead_after=200", "model.tied=false"]),
    "sparse l1": ("sparsity_weight", [0.0, 0.1], ["model=sparse", "model.penalty=l1", "model.code_activation=relu"]),
    "contractive": ("contraction_weight", [0.0, 10.0], ["model=contractive", *MLP]),
    "contractive hutchinson": ("contraction_weight", [0.1, 1.0], ["model=contractive", "model.estimator=hutchinson"]),
    "vae": ("sigma", [1.0, 1.0], ["model=vae", *GAUSSIAN, "model.sigma_mode=learned"]),
    "beta_vae": ("beta", [0.0, 1.0, 16.0], ["model=beta_vae", "net.hidden=[16]", "trainer.clip_norm=20"]),
    "beta_vae warm-up": ("beta", [1.0, 4.0], ["model=beta_vae", "net.hidden=[16]", "model.schedule.beta.kind=linear",
                                              "optimizer.schedule.kind=cosine"]),
    "capacity": ("capacity", [2.0, 8.0], ["model=beta_vae", "net.hidden=[16]", "model.capacity=1", "optimizer=sgd",
                                          "optimizer.lr=1e-5"]),
    "beta_tcvae": ("beta", [1.0, 8.0], ["model=beta_tcvae", "net.hidden=[16]"]),
    "factor_vae": ("gamma", [1.0, 40.0], ["model=factor_vae", "net.hidden=[16]", "model.discriminator=[16]",
                                          "trainer.clip_norm=20", "optimizer.schedule.kind=cosine"]),
    "mixture": ("beta", [0.5, 1.0], ["model=beta_vae", *MLP, "prior=mixture", "prior.components=7"]),
    "vamp": ("sigma", [0.5, 1.0], ["model=cvae", *GAUSSIAN, "prior=vamp", "prior.components=7"]),
    "dip_vae": ("lambda_od", [0.0, 50.0], ["model=dip_vae", "net.hidden=[16]"]),
    "wae": ("mmd_weight", [0.0, 500.0], ["model=wae", "net.hidden=[16]"]),
    "cvae": ("sigma", [0.5, 1.0], ["model=cvae", *GAUSSIAN]),
    "vq_vae": ("restart_below", [0.0, 0.3], ["model=vq_vae", "net=conv", "net.channels=[4]", "model.codebook_size=16",
                                             "model.codebook_decay=0.9"]),
    "vq_vae loss": ("commitment_weight", [0.1, 1.0], ["model=vq_vae", *MLP, "model.codebook=loss",
                                                      "model.codebook_size=16"]),
    "iwae": ("sigma", [0.5, 1.0], ["model=iwae", *GAUSSIAN, "optimizer=adamw"]),
}  # fmt: skip


SELDOM = (
    "sparse ema",
    "sparse aux",
    "sparse l1",
    "contractive hutchinson",
    "beta_vae warm-up",
    "vq_vae loss",
)  # their like are among the others


@pytest.mark.parametrize("family", [longer(name) if name in SELDOM else name for name in FAMILIES])
def test_a_member_has_the_weights_that_it_has_alone(family, tmp_path, float64):
    """And, evaluated with the others, its numbers. 100 steps in float64; differences can only be of rounding."""
    hparam, values, overrides = FAMILIES[family]
    configs = members(hparam, values, "trainer.max_steps=100", *overrides)
    one_by_one = alone(configs, tmp_path)
    for k, (ours, theirs) in enumerate(zip(stacked(configs, tmp_path), one_by_one, strict=True)):
        for name in theirs:
            torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=1e-9)
        found, expected = (result(tmp_path / f"{way}{k}") for way in ("stacked", "alone"))
        assert found["metrics"] == pytest.approx(expected["metrics"], rel=1e-7, abs=1e-9)
        assert found["latent"].keys() == expected["latent"].keys()
    if family != "vae":  # whose hparam is not in use: equal members then stay equal
        assert any(not torch.equal(one_by_one[0][name], one_by_one[1][name]) for name in one_by_one[0])


@pytest.mark.cuda
@pytest.mark.parametrize("graph", ["false", "true"])
@pytest.mark.parametrize("family", FAMILIES)
def test_so_it_has_on_a_gpu_also_in_a_graph(family, graph, tmp_path, float64):
    hparam, values, overrides = FAMILIES[family]
    where, graphed = torch.device("cuda", 0), f"trainer.cuda_graph={graph}"
    one_by_one = alone(members(hparam, values, *overrides), tmp_path, where)
    together = stacked(members(hparam, values, *overrides, graphed), tmp_path, where=where)
    for ours, theirs in zip(together, one_by_one, strict=True):
        for name in theirs:
            torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=1e-8)


def test_each_member_stops_early_when_it_would_alone(tmp_path):
    configs = members("beta", [0.0, 4.0, 100.0], "model=beta_vae", "net.hidden=[16]", "trainer.epochs=6",
                      "trainer.patience=1", "trainer.min_delta=1.3", "optimizer.lr=3e-3",
                      "trainer.batch_size=200")  # fmt: skip
    one_by_one, steps = alone(configs, tmp_path), {}
    ends = stacked(configs, tmp_path, lambda name, training: steps.update({name: training.step}))
    assert list(steps.values()) == [100, 120, 120]
    for k, (ours, theirs) in enumerate(zip(ends, one_by_one, strict=True)):
        found, expected = result(tmp_path / f"stacked{k}"), result(tmp_path / f"alone{k}")
        # The total correlation is a difference of sums of logarithms, known to their rounding.
        assert found["metrics"] == pytest.approx(expected["metrics"], rel=1e-4, abs=1e-6)
        assert found["best"]["epoch"] == expected["best"]["epoch"] and found["step"] == expected["step"]
        for name in theirs:
            torch.testing.assert_close(ours[name], theirs[name], rtol=1e-3, atol=1e-4)


def test_a_member_that_diverges_leaves_the_others_alone(tmp_path):
    configs = members("sigma", [1.0, 1e-30, 0.5], "model=ae", *GAUSSIAN, "trainer.batch_size=200")
    with_it = stacked(configs, tmp_path / "with")
    without = stacked([configs[0], configs[2]], tmp_path / "without")
    assert with_it[1] is None
    bad = result(tmp_path / "with" / "stacked1")
    assert bad["status"] == "failed" and "loss was not finite at step 1" in bad["reason"]
    for one, other in zip([with_it[0], with_it[2]], without, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in other)
    assert result(tmp_path / "with" / "stacked2")["metrics"] == result(tmp_path / "without" / "stacked1")["metrics"]


def test_a_training_that_has_ended_holds_no_memory(tmp_path):
    """Of a GPU say, until the collector comes along: the next stack is sized to what is free."""
    configs = members("beta", (1.0, 4.0), "model=beta_vae", "net.hidden=[8]", "trainer.max_steps=3")
    gc.collect()
    gc.disable()
    try:
        alone(configs, tmp_path)
        stacked(configs, tmp_path)
        left = [one for one in gc.get_objects() if isinstance(one, Training | Stack)]
    finally:
        gc.enable()
    assert not left
