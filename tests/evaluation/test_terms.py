"""Evaluation does not depend on its portions, nor does training depend on evaluation."""

import pytest
import torch

from aetrain.config.tables import MODELS
from aetrain.device import Precision
from aetrain.evaluation.terms import evaluate
from tests.conftest import build, unlabelled

FP32 = Precision.of("fp32", torch.device("cpu"))


@pytest.fixture
def raw():
    return torch.randint(0, 256, (301, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("model", sorted(MODELS))
def test_results_do_not_depend_on_the_batch_size(model, raw):
    net = build(f"model={model}")
    whole = evaluate(net, unlabelled(raw), 1000, 0, FP32)
    for batch in (7, 128):
        parts = evaluate(net, unlabelled(raw), batch, 0, FP32)
        # abs: a total correlation of about 0 is a difference of logs of about 10
        assert parts.terms == pytest.approx(whole.terms, rel=1e-5, abs=1e-6)
        for name, value in whole.diagnostics.items():
            torch.testing.assert_close(parts.diagnostics[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", sorted(MODELS))
def test_findings_are_sentences_about_an_evaluation(model, raw):
    net = build(f"model={model}")
    found = evaluate(net, unlabelled(raw), 1000, 0, FP32)
    assert all(isinstance(line, str) and line for line in net.findings(found.terms, found.diagnostics))


@pytest.mark.parametrize("model", sorted(MODELS))
def test_evaluating_twice_is_equal_and_leaves_no_trace(model, raw):
    net = build(f"model={model}")
    rng, weights = torch.get_rng_state(), {k: v.clone() for k, v in net.state_dict().items()}
    first, second = (evaluate(net, unlabelled(raw), 128, 0, FP32).terms for _ in range(2))
    assert first == second
    assert torch.equal(torch.get_rng_state(), rng) and net.training
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in weights.items())


def test_rho_hat_is_that_of_the_whole_split(raw):
    net = build("model=sparse", "model.latent_dim=6")
    code = net.encode(raw / 255).double()
    rho_hat = code.mean(0)
    expected = (0.05 * (0.05 / rho_hat).log() + 0.95 * (0.95 / (1 - rho_hat)).log()).sum().item()
    assert evaluate(net, unlabelled(raw), 50, 0, FP32).terms["sparsity"] == pytest.approx(expected, rel=1e-5)


def test_active_units_and_kl_per_dimension(raw):
    net = build("model=vae", "model.latent_dim=5")
    with torch.no_grad():
        net.encoder.layers[-1].weight[:3] *= 50  # three means that vary, two that hardly do
        net.encoder.layers[-1].weight[3:5] *= 1e-3
    result = evaluate(net, unlabelled(raw), 100, 0, FP32)
    assert result.diagnostics["active_units"] == 3
    assert result.diagnostics["kl_per_dimension"].sum().item() == pytest.approx(result.terms["kl"], rel=1e-5)


@pytest.mark.parametrize(("model", "runs"), [("vae", 1), ("ae", 1), ("dae", 2), ("sparse", 2)])
def test_an_image_is_encoded_once_and_again_only_for_another_input_or_a_first_pass(model, runs, raw, monkeypatch):
    net, seen = build(f"model={model}"), []
    compute = type(net.encoder).forward
    monkeypatch.setattr(type(net.encoder), "forward", lambda self, x: seen.append(len(x)) or compute(self, x))
    evaluate(net, unlabelled(raw), 100, 0, FP32)
    assert sum(seen) == runs * len(raw)
    assert "forward" not in vars(net.encoder)
