"""Schedules at their corner points."""

import pytest
import torch

from aetrain.schema import Schedule
from aetrain.training.optimizer import build_optimizer
from aetrain.training.schedules import Scheduler, factor
from tests.conftest import build, compose


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        (Schedule(), {0: 1, 0.5: 1, 1: 1}),
        (Schedule("linear", start=0.2, length=0.5), {0: 0.2, 0.25: 0.6, 0.5: 1, 1: 1}),
        (Schedule("cosine", end=0.1), {0: 1, 0.5: 0.55, 1: 0.1}),
        (Schedule("step", milestones=[0.5, 0.75], gamma=0.1), {0: 1, 0.49: 1, 0.5: 0.1, 0.75: 0.01, 1: 0.01}),
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
