"""trainer.objective_metric: what a sweep is told of a run."""

import dataclasses
import json

import pytest

from aetrain.config.rules import check_metric
from aetrain.errors import UserError
from aetrain.tasks import run_task
from tests.conftest import SMALL, compose


def with_metric(metric, *overrides):
    config = compose(*SMALL, *overrides)
    return dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, objective_metric=metric))


@pytest.mark.parametrize(
    ("metric", "model", "swept", "allowed"),
    [
        ("val/loss", "beta_vae", ["model.beta"], False),
        ("val/loss", "beta_vae", ["model.schedule.beta.length"], False),
        ("train/loss", "sparse", ["optimizer.lr", "model.sparsity_weight"], False),
        ("val/loss", "vae", ["model"], False),
        ("val/sparsity", "sparse", ["model.rho"], False),
        ("val/loss", "beta_vae", ["optimizer.lr", "model.latent_dim"], True),
        ("val/recon", "beta_vae", ["model.beta"], True),
        ("val/loss", "dae", ["model.corruption_level"], True),
        ("val/sparsity", "sparse", ["model.sparsity_weight"], True),
        (None, "beta_vae", ["model.beta"], True),
        ("test/nelbo", "vae", [], False),
        ("nelbo", "vae", [], False),
    ],
)
def test_a_metric_that_contains_what_is_swept_is_refused(metric, model, swept, allowed):
    config = with_metric(metric, f"model={model}")
    if allowed:
        check_metric(config, swept)
    else:
        with pytest.raises(UserError, match=f"trainer.objective_metric={metric}"):
            check_metric(config, swept)


@pytest.mark.parametrize(
    ("model", "metric", "tag"),
    [("vae", None, "val/nelbo"), ("ae", None, "val/recon"), ("vae", "val/active_units", "val/active_units")],
)
def test_a_run_returns_its_objective_also_when_it_is_done_already(aetrain, model, metric, tag):
    config, folder = with_metric(metric, f"model={model}"), aetrain.folder / "run"
    value = run_task(config, folder, [])
    assert value == json.loads((folder / "result.json").read_text())["metrics"][tag]
    assert run_task(config, folder, [], resumed=True) == value


def test_an_unknown_metric_is_told_before_the_training(aetrain):
    code, _, err = aetrain(*SMALL, "trainer.objective_metric=val/rekon", "hydra.run.dir=run")
    assert code == 2 and err.count("\n") == 1 and "did you mean 'val/recon'?" in err
    assert not (aetrain.folder / "run" / "checkpoints").exists()
    code, _, err = aetrain(*SMALL, "trainer.objective_metric=val/recon", "data.val_size=0")
    assert code == 2 and "needs validation images" in err
