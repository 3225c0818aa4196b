"""Labels reach every place that evaluates, samples or draws; and what a model lacks."""

import pytest
import torch

from aetrain.data.split import Split, Splits
from aetrain.device import Precision
from aetrain.errors import UserError
from aetrain.evaluation.nll import importance_nll
from aetrain.evaluation.terms import evaluate
from aetrain.models.vae import VAE
from aetrain.pictures.grids import make_grids
from aetrain.priors import build_prior
from tests.conftest import build, compose, facts


class Conditional(VAE):
    """Encoder and decoder see an image shifted by its label: only with the right labels is it as the plain one."""

    def encoder_output(self, x, y=None):
        assert y is not None and len(y) == len(x)
        return super().encoder_output(x - y.to(x).view(-1, 1, 1, 1))

    def decoder_output(self, z, y=None):
        assert y is not None and len(y) == len(z)
        return super().decoder_output(z)


@pytest.fixture
def conditional():
    config = compose("model=vae", "model.likelihood=gaussian", "model.sigma_mode=optimal", "net.hidden=[20]")
    torch.manual_seed(0)
    model = Conditional(config.model, config.net, facts())
    model.prior = build_prior(config.prior, model.code_shape, facts(), model.noise, model.posterior)
    return model


def shifted(n):
    x = torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    y = torch.arange(n) % 10
    return x, Split(x + y.view(-1, 1, 1, 1), y)


def test_evaluation_gives_the_model_its_labels(conditional):
    plain = build("model=vae", "model.likelihood=gaussian", "model.sigma_mode=optimal", "net.hidden=[20]")
    plain.load_state_dict(conditional.state_dict())
    x, split = shifted(50)
    fp32 = Precision.of("fp32", torch.device("cpu"))
    ours = evaluate(conditional, split, 20, 0, fp32)
    theirs = evaluate(plain, Split(x, split.labels), 20, 0, fp32)
    assert ours.terms["kl"] == pytest.approx(theirs.terms["kl"], rel=1e-5)
    torch.testing.assert_close(ours.diagnostics["mu"], theirs.diagnostics["mu"], rtol=1e-3, atol=1e-5)
    assert importance_nll(conditional, split, 3, 0) > 0


def test_pictures_give_the_model_its_labels(conditional):
    _, split = shifted(70)
    names = [grid.name for grid in make_grids(conditional, Splits(split, split, split, 10), 0)]
    assert names == ["reconstructions", "samples", "traversals"]
    assert conditional.sample(3, torch.arange(3)).shape == (3, 1, 28, 28)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda net, x: net.sample(3), "model=ae: has no prior"),
        (lambda net, x: net.posterior(x), "model=ae: has no posterior"),
        (lambda net, x: net.log_likelihood(x, net.encode(x)), "model=ae: has no likelihood"),
    ],
)
def test_what_a_model_lacks_is_one_line(call, words, images):
    with pytest.raises(UserError, match=words) as caught:
        call(build("model=ae", "model.likelihood=squared_error"), images)
    assert "\n" not in str(caught.value)


def test_a_code_has_the_shape_that_the_model_says(images):
    for model in ("ae", "vae", "sparse"):
        net = build(f"model={model}", "model.latent_dim=7", *(["model.penalty=kl"] if model == "sparse" else []))
        assert net.encode(images).shape == (64, *net.code_shape) == (64, 7)
