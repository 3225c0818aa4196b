"""A run and a sweep made by version 0.1 (commit 4d8e6f6) and kept: they must stay readable."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch

from aetrain.config import stored
from aetrain.config.tree import plain
from aetrain.training import checkpoint
from tests.conftest import compose

KEPT = Path(__file__).parent / "expected" / "first_generation"


@pytest.fixture
def kept(aetrain):
    shutil.copytree(KEPT, aetrain.folder, dirs_exist_ok=True)
    return aetrain.folder


def test_its_configuration_has_todays_names():
    config = stored.read(KEPT / "run" / "config.yaml")
    assert (config.net.name, config.net.hidden, config.net.activation) == ("mlp", [8], "relu")
    assert (config.model.name, config.model.l2_weight, config.trainer.test) == ("sparse", 1e-4, "last")
    assert config.optimizer.schedule.factor == 0.1


def test_a_run_goes_on(aetrain, kept):
    before = checkpoint.load(kept / "run" / "checkpoints" / "last.pt")["model"]
    code, out, err = aetrain("resume=run", "trainer.max_steps=8")
    assert code == 0, err
    assert "resumed at step 4 of 8" in out
    after = checkpoint.load(kept / "run" / "checkpoints" / "last.pt")
    assert after["step"] == 8 and after["facts"]["image_shape"] == [1, 28, 28]
    assert any(not torch.equal(before[name], after["model"][name]) for name in before)
    rows = [json.loads(line) for line in (kept / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "test/loss" in row] == [8]  # what came after the checkpoint was cut off


def test_a_done_run_is_done(aetrain, kept):
    code, out, _ = aetrain("resume=run")
    assert code == 0 and "nothing to do" in out


def test_a_sweep_goes_on(aetrain, kept):
    for result in kept.glob("sweep/0_*/result.json"):
        result.unlink()  # as if killed at its end
    code, out, err = aetrain("resume=sweep", "hydra.launcher.mode=sequential")
    assert code == 0, err
    assert out.count("nothing to do") == 1
    members = [path for path in (kept / "sweep").iterdir() if path.is_dir() and path.name != "report"]
    assert len(members) == 2 and all((member / "result.json").is_file() for member in members)


def test_its_report_has_todays_names(aetrain, kept):
    code, _, err = aetrain("task=report", "run=sweep")
    assert code == 0, err
    report = json.loads((kept / "sweep" / "report.json").read_text())
    assert report["swept"] == {"model.beta": [1, 4]}
    assert "val/active_units" in report["members"][0]["metrics"]


@pytest.mark.parametrize(
    ("words", "later"),
    [
        (["model=sparse"], {"k_aux": None, "dead_after": 10_000, "aux_weight": 0.03125}),
        (["model=beta_vae"], {"recon_weight": 1.0}),
    ],
)
def test_a_configuration_from_before_keys_were_added_means_what_it_meant(words, later):
    config = compose(*words)
    tree = plain(config)
    for key in later:
        del tree["model"][key]
        tree["model"]["schedule"].pop(key, None)
    assert stored.build(tree, "config.yaml").model == dataclasses.replace(config.model, **later)
