"""The step against a plain one, its latch, and clipping."""

import copy

import pytest
import torch

from aetrain.device import Precision
from aetrain.training.meters import Meters
from aetrain.training.optimizer import build_optimizer
from aetrain.training.step import Latch, make_step
from tests.conftest import SMALL, build, compose

CPU = torch.device("cpu")


def setup(*overrides, clip_norm=None, latch=None):
    config = compose("device=cpu", *overrides)
    net = build(*overrides)
    optimizer = build_optimizer(config.optimizer, net)
    precision = Precision.of(config.device.precision, CPU)
    return net, make_step(net, optimizer, precision, clip_norm, latch)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_twenty_steps_equal_a_plain_loop(optimizer, images):
    net, step = setup(f"optimizer={optimizer}", "optimizer.lr=0.001", latch=Latch(CPU))
    plain = copy.deepcopy(net)
    config = compose(f"optimizer={optimizer}").optimizer
    reference = {
        "adam": lambda p: torch.optim.Adam(p, 1e-3),
        "adamw": lambda p: torch.optim.AdamW(p, 1e-3, weight_decay=config.weight_decay),
        "sgd": lambda p: torch.optim.SGD(p, 1e-3, momentum=0.9),
    }[optimizer](plain.parameters())
    torch.manual_seed(0)
    for _ in range(20):
        step(images)
    torch.manual_seed(0)
    for _ in range(20):
        reference.zero_grad()
        plain(images)["loss"].mean().backward()
        reference.step()
    for ours, theirs in zip(net.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_clipping_bounds_the_gradient_and_reports_its_norm_before():
    net, step = setup("optimizer=sgd", "optimizer.lr=1.0", "optimizer.momentum=0", "model=ae", clip_norm=0.5)
    before = [p.detach().clone() for p in net.parameters()]
    norm = step(torch.rand(8, 1, 28, 28))["grad_norm"].item()
    moved = torch.cat([(a - b).flatten() for a, b in zip(before, net.parameters(), strict=True)]).norm().item()
    assert norm > 0.5 and moved == pytest.approx(0.5, rel=1e-4)


def test_the_latch_closes_at_the_first_bad_step_and_names_it(images):
    latch = Latch(CPU)
    net, step = setup("model=ae", latch=latch)
    step(images)
    good = [p.detach().clone() for p in net.parameters()]
    bad = images.clone()
    bad[3, 0, 5, 5] = torch.inf
    step(bad)
    step(images)  # finite again, but nothing is updated any more
    assert all(torch.equal(a, b) for a, b in zip(good, net.parameters(), strict=True))
    assert latch.first_bad == 1 and latch.bad_steps == 1
    assert latch.bad_values.tolist()[:2] == [True, True]  # loss and recon


def test_skipping_leaves_out_only_the_bad_steps(images):
    latch = Latch(CPU, skip=True)
    net, step = setup("model=ae", latch=latch)
    step(images)
    good = [p.detach().clone() for p in net.parameters()]
    step(images * torch.nan)
    assert all(torch.equal(a, b) for a, b in zip(good, net.parameters(), strict=True))
    step(images)
    assert not any(torch.equal(a, b) for a, b in zip(good, net.parameters(), strict=True))
    assert latch.bad_steps == 1


def test_a_bad_gradient_behind_a_finite_loss_is_caught(images):
    latch = Latch(CPU)
    net, step = setup("model=ae", latch=latch)
    good = [p.detach().clone() for p in net.parameters()]
    net.decoder.layers[0].weight.register_hook(lambda g: g * torch.inf)
    step(images)
    assert latch.first_bad == 0 and latch.bad_values.tolist() == [False, False, True]
    assert all(torch.equal(a, b) for a, b in zip(good, net.parameters(), strict=True))


def test_bf16_computes_products_in_bf16_and_the_objective_in_fp32(images):
    net, _ = setup("device.precision=bf16")
    with Precision.of("bf16", CPU).autocast(), net.noise.fixed(0):
        low = net(images)
    with net.noise.fixed(0):
        high = net(images)
    assert {value.dtype for value in low.values()} == {torch.float32}
    for name in high:
        assert not torch.equal(low[name], high[name])
        torch.testing.assert_close(low[name], high[name], rtol=0.02, atol=0.05)


@pytest.mark.parametrize("skip", [False, True])
def test_the_latch_holds_under_a_gradient_scaler(images, skip):
    """fp16's path, on the CPU: an infinite term that is only logged leaves the gradients finite."""
    net, latch = build("model=ae", "net.hidden=[16]"), Latch(CPU, skip=skip)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
    precision = Precision("fp16", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0))
    terms, logged = net.terms, 0.0
    net.terms = lambda x, y=None: {**terms(x, y), "logged": torch.full((len(x),), logged)}
    step = make_step(net, optimizer, precision, latch=latch)

    def moved():
        before = [p.detach().clone() for p in net.parameters()]
        step(images)
        return not all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))

    assert moved()
    logged = torch.inf
    assert not moved() and latch.first_bad == 1
    logged = 0.0
    assert moved() is skip  # latched for good, or the bad step alone left out


@pytest.mark.parametrize("skip", [False, True])
def test_latched_steps_leave_the_scale_alone(images, skip):
    net, latch = build("model=ae", "net.hidden=[16]"), Latch(CPU, skip=skip)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0, growth_interval=3)
    step = make_step(net, torch.optim.Adam(net.parameters(), 1e-3, fused=True), Precision("fp16", "cpu", scaler),
                     latch=latch)  # fmt: skip

    def scale_after(*batches):
        for batch in batches:
            step(batch)
        return scaler.get_scale(), scaler._get_growth_tracker()

    assert scale_after(images, images) == (2.0, 2)
    assert scale_after(*[images * torch.nan] * 20) == (2.0, 2)
    assert scale_after(images) == ((4.0, 0) if skip else (2.0, 2))


def test_a_gradient_that_overflows_is_still_the_scalers_business(images):
    net, latch = build("model=ae", "net.hidden=[16]"), Latch(CPU)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    step = make_step(net, torch.optim.Adam(net.parameters(), 1e-3, fused=True), Precision("fp16", "cpu", scaler),
                     latch=latch)  # fmt: skip
    net.decoder.layers[0].weight.register_hook(lambda g: g * torch.inf)
    step(images)
    assert scaler.get_scale() == 1.0 and latch.first_bad == -1


def test_the_latch_speaks_before_the_scaler(aetrain, monkeypatch):
    """fp16's path on the CPU: told is the step and the term, not that the scale has sunk."""
    scaler = torch.amp.GradScaler("cpu", init_scale=1.5e-4)
    monkeypatch.setattr(Precision, "of", classmethod(lambda cls, name, device: cls("fp16", "cpu", scaler)))
    code, _, err = aetrain("model=ae", "model.likelihood=gaussian", "model.sigma=1e-30", *SMALL, "hydra.run.dir=run")
    assert code == 1 and "was not finite at step 1" in err, err


def test_skipped_steps_do_not_enter_the_means():
    meters = Meters(skip=True)
    for value in (1.0, torch.nan, 3.0):
        meters.add({"loss": torch.tensor(value)})
    assert meters.read("epoch") == {"loss": 2.0} and meters.read("interval") == {"loss": 2.0}
