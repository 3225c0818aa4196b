"""From one run to the next: names, tags, a budget of time, weights of an earlier run, the list of runs."""

from __future__ import annotations

import json
import re

import torch

from aetrain.cli import main
from tests.conftest import SMALL, compose


def weights(folder):
    return torch.load(folder / "checkpoints" / "last.pt", weights_only=True)["model"]


def test_a_budget_of_time_stops_a_run_that_goes_on_as_if_it_had_not(aetrain, small_run):
    words = ["model=vae", "data.limit=300", "trainer.batch_size=50", "trainer.log_every=2", "device=cpu",
             "trainer.max_steps=9", "trainer.epochs=9"]  # fmt: skip
    code, out, err = aetrain(*words, "trainer.minutes=1e-9", "hydra.run.dir=short")
    assert code == 0, err
    assert "have passed: stopped after 1 of 9 steps; aetrain resume=short continues" in out
    stopped = json.loads((aetrain.folder / "short" / "result.json").read_text())
    assert stopped["status"] == "done" and stopped["step"] == 1 and "test/loss" in stopped["metrics"]
    assert aetrain(*words, "hydra.run.dir=whole")[0] == 0
    assert aetrain("resume=short", "trainer.minutes=null")[0] == 0
    for name, value in weights(aetrain.folder / "whole").items():
        assert torch.equal(value, weights(aetrain.folder / "short")[name])
    rows = [json.loads(line) for line in (aetrain.folder / "short" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == sorted(row["step"] for row in rows) and 1 not in {r["step"] for r in rows}


def test_a_run_starts_from_anothers_weights(aetrain, small_run):
    first = small_run("model=vae")
    second = small_run("model=beta_vae", "init=run", "trainer.max_steps=1", "optimizer.lr=1e-12", folder="next")
    for name, value in weights(first).items():
        torch.testing.assert_close(value, weights(second)[name], rtol=0, atol=1e-9)
    assert f"init: {first}" in (second / "config.yaml").read_text()
    code, _, err = aetrain(*SMALL, "model=vae", "model.latent_dim=3", "init=run", "hydra.run.dir=bad")
    assert code == 2 and "its weights do not fit this model" in err and err.count("\n") == 1


def test_runs_are_listed_with_what_was_chosen_and_how_they_came_out(aetrain, monkeypatch):
    for words in (["model=ae", "model.latent_dim=5", "tags=[paper,small]"], ["model=vae", "name=mine"]):
        assert aetrain(*SMALL, *words)[0] == 0
    code, out, _ = aetrain("runs")
    first, second = out.splitlines()
    assert code == 0 and re.match(r"done +test/recon [\d.]+ +model=ae .*model\.latent_dim=5.* outputs/ae/", first)
    assert re.match(r"done +test/nelbo [\d.]+ +model=vae .* outputs/vae/[\d_-]+_mine$", second)
    assert aetrain("runs", "outputs", "tags=paper")[1].splitlines()[0].split("model=")[1] == first.split("model=")[1]
    assert aetrain("runs", "tags=other")[1] == "no runs below outputs/ with tags=other\n"
    code, _, err = aetrain("resume=latest:ae", "model.latent_dim=7")
    assert code == 2 and "model.latent_dim cannot change on resume" in err
    code, out, _ = aetrain("resume=latest")
    assert code == 0 and out.startswith("nothing to do: outputs/vae/") and "_mine" in out


def test_names_and_tags_make_no_other_run(aetrain):
    from aetrain.config.tree import config_hash, identity

    plain, named = compose("model=ae"), compose("model=ae", "name=x", "tags=[y]")
    assert config_hash(plain) == config_hash(named) and identity(plain) == identity(named)


def test_a_sweep_has_one_name(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["-m", "name=a,b"]) == 2
    assert "is the same for all runs of a sweep" in capfd.readouterr().err and not list(tmp_path.iterdir())


def test_the_presets_for_looking_for_mistakes(small_run):
    assert compose("debug=fast").trainer.max_steps == 20
    config = compose("debug=overfit", "model=ae")
    assert config.data.limit - config.data.val_size == config.trainer.batch_size == 64
    run = small_run("model=ae", "debug=profile", "data.limit=300", "trainer.batch_size=10", "trainer.max_steps=24",
                    "trainer.profile_steps=5", folder="profiled")  # fmt: skip
    assert "aten::" in (run / "profile.txt").read_text() and json.loads((run / "profile.json").read_text())
