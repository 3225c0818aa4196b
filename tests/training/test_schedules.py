"""Schedules at their corner points."""

import pytest
import torch

from aetrain.config.rules import check_schedule
from aetrain.config.schema.schedule import Schedule
from aetrain.errors import UserError
from aetrain.training.optimizer import build_optimizer
from aetrain.training.schedules import Scheduler, factor
from tests.conftest import build, compose


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        (Schedule(), {0: 1, 0.5: 1, 1: 1}),
        (Schedule("linear", start=0.2, length=0.5), {0: 0.2, 0.25: 0.6, 0.5: 1, 1: 1}),
        (Schedule("cosine", end=0.1), {0: 1, 0.5: 0.55, 1: 0.1}),
        (Schedule("step", milestones=[0.5, 0.75], factor=0.1), {0: 1, 0.49: 1, 0.5: 0.1, 0.75: 0.01, 1: 0.01}),
        (Schedule("cyclical", cycles=2, length=0.5), {0: 0, 0.125: 0.5, 0.25: 1, 0.49: 1, 0.5: 0, 0.625: 0.5, 1: 1}),
    ],
)
def test_corner_points(schedule, points):
    for progress, expected in points.items():
        assert factor(schedule, progress) == pytest.approx(expected)


def test_scheduler_writes_the_learning_rate_and_hparams_in_place():
    overrides = ["model=beta_vae", "model.beta=4", "model.schedule.beta.kind=linear", "model.schedule.beta.length=0.5",
                 "optimizer.schedule.kind=cosine"]  # fmt: skip
    config, net = compose(*overrides), build(*overrides)
    optimizer = build_optimizer(config.optimizer, net)
    buffer = net.beta
    scheduler = Scheduler(config, net, optimizer, total_steps=100)
    scheduler.apply(25)
    assert net.beta is buffer and buffer.item() == pytest.approx(2.0)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * 0.5 * (1 + 2**-0.5))
    scheduler.apply(100)
    assert torch.equal(buffer, torch.tensor(4.0)) and optimizer.param_groups[0]["lr"] == pytest.approx(0)


def test_a_schedule_has_no_memory():
    """After a resume a new scheduler meets a step in the middle: the values there are those of one that walked."""
    overrides = ["model=beta_vae", "model.capacity=20", "model.schedule.capacity.kind=cyclical",
                 "optimizer.schedule.kind=step"]  # fmt: skip
    config, values = compose(*overrides), []
    for steps in (range(81), [80]):
        net = build(*overrides)
        optimizer = build_optimizer(config.optimizer, net)
        scheduler = Scheduler(config, net, optimizer, total_steps=100)
        for step in steps:
            scheduler.apply(step)
        values.append((net.capacity.item(), float(optimizer.param_groups[0]["lr"])))
    assert values[0] == values[1] and values[0] != (20, 1e-3)


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["kind=linear", "length=1.5"], r"beta.length=1.5: the warm-up would be longer than the run.*never reach 4"),
        (["kind=cyclical", "length=2"], r"beta.length=2.0: the warm-up would be longer than the cycle"),
        (["kind=cyclical", "length=1"], r"beta.cycles=4: .* leave no step at beta=4"),
        (["kind=cyclical", "cycles=1000"], r"beta.cycles=1000: 500 steps in that many cycles"),
        (["kind=linear", "length=nan"], r"beta.length=nan"),
        (["kind=step", "milestones=[0.5,1.5]"], r"milestones"),
    ],
)
def test_a_schedule_that_never_arrives_is_refused(overrides, line):
    schedule = [f"model.schedule.beta.{override}" for override in overrides]
    with pytest.raises(UserError, match=line):
        compose("model=beta_vae", "trainer.max_steps=500", *schedule)


def test_the_learning_rates_schedule_is_checked_alike():
    with pytest.raises(UserError, match=r"optimizer.schedule.length=1.5: the warm-up would be longer than the run"):
        compose("optimizer.schedule.kind=linear", "optimizer.schedule.length=1.5")


def test_a_schedule_of_what_the_objective_does_not_use_is_refused():
    with pytest.raises(UserError, match=r"model.schedule.sigma.kind=linear: model.sigma takes no part"):
        compose("model=vae", "model.schedule.sigma.kind=linear")
    with pytest.raises(UserError, match=r"model.schedule.capacity.kind=linear: model.capacity takes no part"):
        compose("model=beta_vae", "model.schedule.capacity.kind=linear")


@pytest.mark.parametrize("cycles", [1, 3, 7, 100])
@pytest.mark.parametrize("length", [0.1, 0.5, 0.9])
def test_cycles_that_are_accepted_all_reach_their_target(cycles, length):
    steps = 200
    schedule = Schedule("cyclical", cycles=cycles, length=length)
    try:
        check_schedule("key", schedule, "beta", 4.0, steps)
    except UserError:
        return
    full = {int(step / steps * cycles) for step in range(steps) if factor(schedule, step / steps) > 1 - 1e-9}
    assert full == set(range(cycles))


def test_the_stages_of_the_iwae_experiment_are_those_of_burda_et_al():
    config = compose("experiment=iwae")
    per_epoch = 60_000 // 20
    total, epoch = 3280 * per_epoch, 0
    for i in range(8):
        for at in (epoch + 0.5, epoch + 3**i - 0.5):
            lr = config.optimizer.lr * factor(config.optimizer.schedule, at * per_epoch / total)
            assert lr == pytest.approx(1e-3 * 10 ** (-i / 7), rel=1e-5)
        epoch += 3**i
    assert epoch == config.trainer.epochs
