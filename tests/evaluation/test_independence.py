"""What a training says of its codes as a whole."""

import json

import pytest
import torch

from aetrain.device import Precision
from aetrain.evaluation.independence import independence, total_correlation
from aetrain.evaluation.terms import evaluate
from tests.conftest import build, unlabelled


@pytest.fixture
def raw():
    return torch.randint(0, 256, (150, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_any_models_total_correlation_is_that_of_beta_tcvae_with_its_weights(raw):
    net, other = build("model=vae", "model.latent_dim=6"), build("model=beta_tcvae", "model.latent_dim=6")
    with torch.no_grad():
        net.encoder.layers[-1].weight[:6] *= 20
    other.load_state_dict(net.state_dict())
    expected = evaluate(other, unlabelled(raw), 7, 3, Precision.of("fp32", torch.device("cpu"))).terms
    found = independence(net, unlabelled(raw), (), 3)
    assert found == {"total_correlation": pytest.approx(expected["total_correlation"], rel=1e-5)}
    assert found["total_correlation"] > 0.01
    assert independence(other, unlabelled(raw), (), 3) == {}  # it is a term


def test_it_is_drawn_apart_from_training_and_in_any_portions(raw, monkeypatch):
    net, before = build("model=vae"), torch.get_rng_state()
    whole = total_correlation(net, unlabelled(raw), 3)
    monkeypatch.setattr("aetrain.evaluation.independence.AT_ONCE", 31)
    assert total_correlation(net, unlabelled(raw), 3) == pytest.approx(whole, rel=1e-5, abs=1e-6)
    assert torch.equal(torch.get_rng_state(), before) and net.training


def test_a_code_without_a_posterior_has_none(raw):
    for words in (["model=ae"], ["model=wae"]):
        assert independence(build(*words), unlabelled(raw), (), 3) == {}
    assert "total_correlation" in independence(build("model=wae", "model.encoder=gaussian"), unlabelled(raw), (), 3)


def test_of_images_made_from_factors_training_says_the_mig_that_evaluate_says(done, aetrain):
    words = ["model=vae", "data=shapes", "data.size=16", "data.limit=300", "data.val_size=60", "data.test_size=60"]
    run = done(*words, "trainer.epochs=1", "trainer.batch_size=50", "device=cpu", to="run")
    result = json.loads((run / "result.json").read_text())["metrics"]
    code, _, err = aetrain("evaluate", "run=run", "nll_samples=0", "device=cpu")
    assert code == 0, err
    (found,) = run.glob("evaluate_*/evaluate.json")
    metrics = json.loads(found.read_text())["metrics"]
    assert result["test/mig"] == metrics["test/mig"]
    assert result["test/total_correlation"] == metrics["test/total_correlation"]
