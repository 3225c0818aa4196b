"""Steps, evaluation and pictures on a pretended GPU: all on one device, and no read by the host that grows with the
number of steps or images."""

import functools
import json
from contextlib import ExitStack
from dataclasses import replace

import pytest
import torch

from aetrain import models
from aetrain.config.tables import MODELS
from aetrain.data.split import Split, Splits
from aetrain.device import Precision
from aetrain.errors import UserError
from aetrain.evaluation.classifier import Classifier
from aetrain.evaluation.nll import importance_nll
from aetrain.evaluation.terms import evaluate
from aetrain.pictures.grids import make_grids
from aetrain.run import Run
from aetrain.training.batches import Batches
from aetrain.training.loop import Training
from aetrain.training.meters import Meters
from aetrain.training.optimizer import Fused, build_optimizer, grouped
from aetrain.training.schedules import Scheduler
from aetrain.training.signals import Requests
from aetrain.training.stacking import Stack, make_stacked_step
from aetrain.training.step import Latch, make_step
from tests.conftest import compose, facts
from tests.pretended import GPU, HostReads, MixedDevices, aten, pretended

FP32 = Precision("fp32", "meta")
CASES = [
    *([f"model={model}", f"net={net}"] for model in sorted(MODELS) for net in ("linear", "mlp", "conv")),
    *([f"model={model}", f"net={net}"] for model in ("cvae", "contractive") for net in ("residual", "burgess")),
    ["model=vae", "net=conv", "net.norm=group", "net.kernel=3", "net.hidden=[20]"],
    ["model=sparse", "model.penalty=topk", "model.k=5"],
    ["model=sparse", "model.penalty=topk", "model.k_aux=5"],
    ["model=sparse", "model.penalty=l1"],
    ["model=sparse", "model.rho_hat=ema"],
    ["model=vq_vae", "net=residual", "model.codebook=loss"],
    ["model=wae", "model.encoder=gaussian"],
    ["model=vae", "model.likelihood=gaussian", "model.sigma_mode=optimal", "model.output=identity"],
    ["model=vae", "model.likelihood=continuous_bernoulli"],
    ["model=vae", "model.likelihood=discretized_logistic"],
    ["model=vae", "model.likelihood=gaussian", "model.sigma_mode=optimal", "model.sigma_per_channel=true"],
    ["model=beta_vae", "model.capacity=5", "model.gamma=10"],
    *(["model=vae", f"net={net}", f"prior={prior}"] for net in ("mlp", "conv") for prior in ("mixture", "vamp")),
    *([f"model={model}", "prior=vamp"] for model in ("iwae", "cvae", "beta_tcvae")),
    ["model=vae", "optimizer=sgd"],
    ["model=vae", "optimizer=adamw", "optimizer.schedule.kind=cosine"],
    ["model=beta_vae", "model.schedule.beta.kind=cyclical"],
    ["model=vae", "data.flip=true", "data.shift=2", "data.binarization=dynamic"],
]


@functools.cache
def composed(*overrides):
    return compose("device=cpu", "trainer.batch_size=20", *overrides)


def composable(case):
    """Not every network goes with every model."""
    try:
        composed(*case)
    except UserError:
        return False
    return True


CASES = [case for case in CASES if composable(case)]


def split(n=400):
    return Split(torch.zeros(n, 1, 28, 28, dtype=torch.uint8), torch.zeros(n, dtype=torch.int64)).to(GPU)


def splits():
    return Splits(split(), split(100), split(100), n_classes=10)


def parts(*overrides):
    """(config, model on the pretended GPU, optimizer, latch, step), as a training has them."""
    config = composed(*overrides)
    model = models.build(config.model, config.net, config.prior, facts()).to(GPU)
    optimizer, latch = build_optimizer(config.optimizer, model), Latch(GPU)
    return config, model, optimizer, latch, make_step(model, optimizer, FP32, 1.0, latch)


@pytest.mark.parametrize("overrides", CASES, ids=" ".join)
def test_a_step_stays_on_the_device(overrides):
    config, model, optimizer, _, step = parts(*overrides)
    data = config.data
    batches = Batches(split(), 20, 0, data.binarization == "dynamic", data.flip, data.shift)
    scheduler, meters = Scheduler(config, model, optimizer, 10), Meters()
    with pretended():
        for number in range(2):
            scheduler.apply(number)
            meters.add(step(*batches.get(number)))
    assert all(p.grad is not None and p.grad.shape == p.shape for p in model.parameters())


@pytest.mark.parametrize("model", [*sorted(MODELS), "vae prior=mixture", "cvae prior=vamp"])
def test_a_stacks_step_stays_on_the_device(model):
    config, first, _, _, _ = parts(*f"model={model} net=mlp".split())
    k, meters = 3, Meters()
    params = {n: p.detach().expand(k, *p.shape).clone().requires_grad_() for n, p in first.named_parameters()}
    buffers = {n: b.expand(k, *b.shape).clone() for n, b in first.named_buffers()}
    optimizer = Fused(config.optimizer, *grouped(params, first.groups(), [1e-3] * (1 + len(first.groups()))))
    step = make_stacked_step(first, params, buffers, optimizer, FP32, 1.0, Latch(GPU, members=k))
    with pretended(stacked=True):
        for number in range(2):
            meters.add(step(*Batches(split(), 20, 0).get(number)))
    assert all(p.grad is not None for p in params.values())


def marked(case):
    """Evaluation knows nothing of networks, nor of most keys."""
    seldom = case[1:] in (["net=linear"], ["net=conv"]) or (len(case) > 1 and CASES.index(case) % 2)
    return pytest.param(case, marks=[pytest.mark.longer] if seldom else [])


@pytest.mark.parametrize("overrides", [marked(case) for case in CASES if "optimizer" not in str(case)], ids=" ".join)
def test_the_host_reads_an_evaluation_once_however_many_images(overrides):
    model, reads = parts(*overrides)[1], []
    for batch_size in (50, 200):
        with pretended(may_read=True) as mode:
            found = evaluate(model, split(), batch_size, 0, FP32)
        reads.append(mode.reads)
    assert reads == [1, 1] and set(found.terms) >= {"loss", "recon"}


def test_importance_samples_are_read_once():
    model, reads = parts("model=vae")[1], []
    for n in (200, 400):
        with pretended(may_read=True) as mode:
            importance_nll(model, split(n), 3, 0)
        reads.append(mode.reads)
    assert reads == [1, 1]


@pytest.mark.parametrize("model", sorted(MODELS))
def test_pictures_are_made_on_the_device(model):
    with pretended(may_read=True) as mode:
        grids = make_grids(parts(f"model={model}")[1], splits(), 0)
    assert {grid.name for grid in grids} >= {"reconstructions"} and mode.reads <= 3 * len(grids)


def test_a_classifier_of_codes_learns_on_the_device():
    model = parts("model=ae")[1]
    classifier = Classifier([model], torch.nn.Linear(32, 10)).to(GPU)
    with pretended():
        loss = torch.nn.functional.cross_entropy(classifier(split().first(20).x), split().first(20).y)
        loss.backward()
    assert all(p.grad is not None for p in classifier.head.parameters())


@pytest.mark.parametrize(
    ("planted", "caught"),
    [
        (lambda terms: terms["recon"].mean().item(), HostReads),
        (lambda terms: bool(terms["recon"].mean() > 0), HostReads),
        (lambda terms: terms["recon"].cpu(), HostReads),
        (lambda terms: terms["recon"] + torch.zeros(20), MixedDevices),
        (lambda terms: terms["recon"] * torch.tensor(0.5), MixedDevices),
    ],
    ids=["item", "bool", "cpu", "a tensor of the host's", "a number of the host's"],
)
def test_what_would_wait_or_stop_is_caught(planted, caught):
    _, model, _, _, step = parts("model=vae")
    terms = model.terms

    def with_it(x, y=None):
        found = terms(x, y)
        planted(found)
        return found

    model.terms = with_it
    with pretended(), pytest.raises(caught):
        step(*Batches(split(), 20, 0).get(0))


def test_what_is_planted_in_a_backward_pass_is_caught():
    class Planted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * gradient.sum().item()

    _, model, _, _, step = parts("model=vae")
    terms = model.terms
    model.terms = lambda x, y=None: {name: Planted.apply(value) for name, value in terms(x, y).items()}
    with pretended(), pytest.raises(HostReads):
        step(*Batches(split(), 20, 0).get(0))


@pytest.mark.parametrize("k", [2, 5])
def test_a_stacks_log_point_is_one_read_and_a_schedule_one_copy(tmp_path, k):
    overrides = ["trainer.log_every=4", "trainer.epochs=9", "trainer.max_steps=90", "net.hidden=[8]",
                 "trainer.on_nonfinite=skip",
                 "trainer.batch_size=20", "model=beta_vae", "model.schedule.beta.kind=linear", "device=cpu",
                 "optimizer.schedule.kind=cosine", "model.latent_dim=2"]  # fmt: skip
    config = compose(*overrides)
    with ExitStack() as folders, pretended(may_read=True, stacked=True) as mode:
        trainings = {}
        for beta in range(k):
            one = replace(config, model=replace(config.model, beta=float(beta)))
            out = folders.enter_context(Run(tmp_path / str(beta), one, []))
            model = models.build(one.model, one.net, one.prior, facts()).to(GPU)
            trainings[str(beta)] = Training(one, model, splits(), out, GPU, Requests(), stacked=True)
            out.open()
        stack = Stack(trainings)
        stack._steps()
        stack._steps()
        before, copies = mode.reads, mode.count(aten.fill_.Scalar)
        stack._steps()
        assert mode.reads == before
        assert mode.count(aten.fill_.Scalar) - copies <= 2  # the learning rate
        for member in stack.members:
            member.step = stack.step
        stack._tell()
        for member in stack.members:
            member.log_interval()
        assert mode.reads == before + 1
    rows = [json.loads((tmp_path / str(beta) / "metrics.jsonl").read_text()) for beta in range(k)]
    assert [row["hparam/beta"] for row in rows] == pytest.approx([beta * 2 / 90 / 0.5 for beta in range(k)])
