"""inspect: what a model has learned."""

import csv

import pytest
import torch

import aetrain as package
from tests.tasks.conftest import TINY


def test_a_bound_and_its_gap_are_the_likelihood(trained, tmp_path):
    found = package.inspect(trained, "images=200", "nll_samples=256", out=tmp_path / "a")
    m = found.metrics
    assert m["elbo"] + m["gap"] == pytest.approx(m["log_likelihood"]) and m["gap"] > 0
    assert {path.name for path in found.folder.iterdir()} == {
        "inspect.json", "posteriors.png", "dimensions.png", "singular_values.png", "filters.png",
        "pca.png",
    }  # fmt: skip


def test_a_grid_holds_against_importance_samples(tmp_path):
    """After a few steps, when q is close to the posterior: both are wide."""
    run = package.train(package.config(*TINY, "model=vae", "model.latent_dim=2"), tmp_path / "run").folder
    found = package.inspect(run, "images=4", "n=4", "nll_samples=2000")
    m = found.metrics
    assert m["exact_log_likelihood"] == pytest.approx(m["sampled_log_likelihood"], abs=0.05)
    assert m["exact_log_likelihood"] == pytest.approx(m["log_likelihood"], abs=0.05)
    assert m["exact_gap"] == pytest.approx(m["exact_log_likelihood"] - m["exact_elbo"]) and m["exact_gap"] > 0
    rows = list(csv.DictReader((found.folder / "exact_posteriors.csv").read_text().splitlines()))
    assert [row["image"] for row in rows] == ["0", "1", "2", "3"] and all(float(r["grid_error"]) < 1e-3 for r in rows)
    assert sum(float(row["gap"]) for row in rows) / 4 == pytest.approx(m["exact_gap"])


def test_tight_and_wide_posteriors_are_told_apart(trained, tmp_path, caplog):
    """The same model with its log-variances moved: std is what the weights say."""
    import shutil

    run = shutil.copytree(trained, tmp_path / "run")
    path = run / "checkpoints" / "best.pt"
    content, widths = torch.load(path, weights_only=True), []
    weight, bias = (content["model"][f"encoder.layers.1.{part}"] for part in ("weight", "bias"))
    weight[:3] *= 20  # active means
    for std in (0.1, 0.9):
        weight[3:] = 0
        bias[3:] = 2 * torch.log(torch.tensor(std))
        torch.save(content, path)
        caplog.clear()
        with caplog.at_level("INFO", "aetrain"):
            widths.append(package.inspect(run, "images=100", "nll_samples=0").metrics["posterior_std"])
        assert ("tight:" in caplog.text) == (std < 0.5) and ("smaller model.beta" in caplog.text) == (std > 0.5)
    assert widths == pytest.approx([0.1, 0.9], rel=1e-5)


def test_units_of_a_sparse_model_and_the_field_of_points(tmp_path):
    sparse = package.train(package.config(*TINY, "model=sparse"), tmp_path / "sparse").folder
    found = package.inspect(sparse, "images=100")
    rows = list(csv.DictReader((found.folder / "units.csv").read_text().splitlines()))
    assert len(rows) == 3 and (found.folder / "activations.png").exists()
    mean = sum(float(row["mean_activation"]) for row in rows) / 3
    assert mean == pytest.approx(found.metrics["mean_activation"])
    points = package.config(*TINY, "model=dae", "data=moons", "model.corruption=gaussian", "model.latent_dim=1")
    found = package.inspect(package.train(points, tmp_path / "moons").folder, "images=100")
    assert (found.folder / "field.png").exists() and (found.folder / "pca.png").exists()
    assert found.metrics["pca_squared_error"] > 0
