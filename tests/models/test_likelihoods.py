"""The likelihoods as models use them: sigma's modes, the output's start, units."""

import math

import pytest
import torch

from aetrain import losses
from aetrain.config.schema.model.base import LIKELIHOODS
from aetrain.device import Precision
from aetrain.errors import UserError
from aetrain.evaluation.terms import evaluate
from aetrain.models.autoencoder import SCALE_FLOOR, SIGMA_FLOOR
from tests.conftest import build, compose, unlabelled

GAUSSIAN = "model.likelihood=gaussian"
FP32 = Precision.of("fp32", torch.device("cpu"))


def recon(net, x):
    with net.noise.fixed(0):
        return net(x)["recon"].mean()


def test_the_optimal_sigma_is_the_one_that_no_fixed_sigma_beats(float64, images):
    x = images.double()
    net = build("model=vae", GAUSSIAN, "model.sigma_mode=optimal")
    with net.noise.fixed(0):
        out = net(x)
    best, sigma = out["recon"].mean().item(), out["sigma"][0].item()
    fixed = build("model=vae", GAUSSIAN, f"model.sigma={sigma}")
    for factor in (0.9, 0.99, 1.01, 1.1):
        fixed.sigma.fill_(sigma * factor)
        assert recon(fixed, x).item() > best
    fixed.sigma = torch.tensor(sigma)
    assert recon(fixed, x).item() == pytest.approx(best, rel=1e-9)
    with net.noise.fixed(0):  # then the likelihood is 784 / 2 · (log 2π MSE + 1)
        mse = (x - net.decode(net.draw_code(x))).square().mean().item()
    assert best == pytest.approx(392 * (math.log(2 * math.pi * mse) + 1), rel=1e-9)


def test_the_optimal_sigma_changes_no_direction_of_the_gradient(float64, images):
    """It minimises the objective, so the derivative through it is zero: the gradient is that of a sigma held fixed."""
    x = images.double()
    gradients = []
    for mode in ("optimal", "fixed"):
        net = build("model=ae", GAUSSIAN, f"model.sigma_mode={mode}")
        if mode == "fixed":
            net.sigma = (x - net.decode(net.encode(x))).square().mean().sqrt().detach()
        recon(net, x).backward()
        gradients.append([p.grad for p in net.parameters()])
    torch.testing.assert_close(*gradients)


def test_a_learned_sigma_is_learned_and_bounded(images):
    net = build("model=vae", GAUSSIAN, "model.sigma_mode=learned")
    recon(net, images).backward()
    assert net.log_sigma.grad.item() != 0
    with torch.no_grad():
        net.log_sigma.fill_(-50.0)
    assert net(images)["sigma"][0].item() == pytest.approx(SIGMA_FLOOR, rel=1e-3)
    with torch.no_grad():
        net.log_sigma.fill_(0.0)
    assert net(images)["sigma"][0].item() == pytest.approx(1, abs=3e-3)


COLOUR = torch.randint(0, 256, (301, 3, 6, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
COLOUR[:, 1] //= 2
COLOUR[200:, 2] //= 8  # batches, and channels, of different brightness


def test_an_optimal_sigma_of_every_channel_is_its_root_mean_square_error():
    words = (GAUSSIAN, "model.sigma_mode=optimal", "model.sigma_per_channel=true")
    net = build("model=vae", *words, image_shape=(3, 6, 5))
    split = unlabelled(COLOUR)
    found = evaluate(net, split, 301, 5, FP32).terms
    x, _ = split.first(301)
    with net.noise.fixed(5), torch.no_grad():
        rmse = (x - net.eval().decode(net.draw_code(x))).square().mean((0, 2, 3)).sqrt()
    assert [found[f"sigma_{c}"] for c in range(3)] == pytest.approx(rmse.tolist(), rel=1e-5)
    # −log N is then 30 / 2 · Σ_c (log 2π MSE_c + 1), below that of one sigma for all.
    exact = 15 * sum(math.log(2 * math.pi * value**2) + 1 for value in rmse.tolist())
    assert found["recon"] == pytest.approx(exact, rel=1e-5)
    assert evaluate(net, split, 60, 5, FP32).terms == pytest.approx(found, rel=1e-4)
    one = build("model=vae", *words[:2], image_shape=(3, 6, 5))
    assert evaluate(one, split, 301, 5, FP32).terms["recon"] > found["recon"]


@pytest.mark.parametrize("likelihood", ["gaussian", "discretized_logistic"])
def test_a_learned_spread_of_every_channel_goes_where_its_errors_are(likelihood):
    """Channels of constant images, of errors that differ: the likelihood is highest where the spread is theirs."""
    given = [f"model.likelihood={likelihood}"]
    given += ["model.sigma_mode=learned", "model.sigma_per_channel=true"] if likelihood == "gaussian" else []
    net = build("model=vae", *given, "model.latent_dim=2", image_shape=(3, 6, 5))
    spread = net.log_sigma if likelihood == "gaussian" else net.log_scale
    for parameter in net.parameters():
        parameter.requires_grad_(parameter is spread)
    x = (0.5 + torch.tensor([0.02, 0.1, 0.2]).view(3, 1, 1) * torch.randn(200, 3, 6, 5)).clamp(0, 1)
    x = (x * 255).round() / 255
    with torch.no_grad():
        for parameter in net.decoder.parameters():
            parameter.zero_()  # decodes to 1/2
    optimizer = torch.optim.Adam([spread], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        net(x)["recon"].mean().backward()
        optimizer.step()
    unit = 1.0 if likelihood == "gaussian" else math.sqrt(3) / math.pi  # a logistic's std is scale · π / √3
    name = "sigma" if likelihood == "gaussian" else "scale"
    found = [net(x)[f"{name}_{c}"][0].item() / unit for c in range(3)]
    assert found == pytest.approx([0.02, 0.1, 0.2], rel=0.1)


def test_the_discretized_logistics_bits_are_a_code_length(images):
    net = build("model=vae", "model.likelihood=discretized_logistic")
    out = net((images * 255).round() / 255)
    torch.testing.assert_close(out["bits_per_dim"], out["nelbo"] / (784 * math.log(2)))
    with torch.no_grad():
        net.log_scale.fill_(-50.0)
    assert net(images)["scale"][0].item() == pytest.approx(SCALE_FLOOR, rel=1e-3)


@pytest.mark.parametrize("data", [["data=moons"], ["data=patches", "data.contrast=whitened"]], ids=" ".join)
def test_pixels_of_more_than_256_levels_have_no_discretized_logistic(data):
    with pytest.raises(UserError, match="is of pixels of 8 bits, 256 levels"):
        compose("model=vae", "model.likelihood=discretized_logistic", *data)


@pytest.mark.parametrize("model", ["vae", "dae", "sparse", "iwae"])
def test_in_evaluation_the_optimal_sigma_is_that_of_the_whole_split(model):
    raw = torch.randint(0, 256, (301, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    raw[200:] //= 8  # batches of different brightness
    net = build(f"model={model}", GAUSSIAN, "model.sigma_mode=optimal")
    whole = evaluate(net, unlabelled(raw), 301, 5, FP32).terms
    assert evaluate(net, unlabelled(raw), 60, 5, FP32).terms == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize(
    ("arch", "likelihood"),
    [("linear", "bernoulli"), ("conv", "bernoulli"), *(("mlp", likelihood) for likelihood in LIKELIHOODS)],
)
def test_output_bias_starts_at_the_mean_image(arch, likelihood):
    net = build("model=ae", f"net={arch}", f"model.likelihood={likelihood}", "model.output_bias=data")
    with torch.no_grad():
        for parameter in net.decoder.parameters():
            if parameter is not net.decoder.output_bias:
                parameter.zero_()
    image = net.decode(torch.zeros(1, 32))
    if likelihood == "continuous_bernoulli":  # whose mean is not the sigmoid
        image = torch.sigmoid(net.decoder(torch.zeros(1, 32)))
    torch.testing.assert_close(image, torch.full((1, 1, 28, 28), 0.13))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_twice_the_side_of_an_image_makes_four_times_the_reconstruction(likelihood):
    values = []
    for side in (8, 16):
        net = build("model=ae", f"model.likelihood={likelihood}", image_shape=(1, side, side))
        with torch.no_grad():
            for parameter in net.decoder.parameters():
                parameter.zero_()
        values.append(net(torch.full((2, 1, side, side), 0.25))["recon"][0].item())
    assert values[1] == pytest.approx(4 * values[0], rel=1e-5)


def test_bits_per_dim_only_where_they_are_a_code_length(images):
    from dataclasses import replace

    grey, net = build("model=vae"), build("model=vae")
    net.facts = replace(net.facts, binary=True)
    x = images.round()
    with net.noise.fixed(0):
        out = net(x)
    torch.testing.assert_close(out["bits_per_dim"], out["nelbo"] / (784 * math.log(2)))
    assert "bits_per_dim" not in grey(x)


def test_the_continuous_bernoulli_decodes_to_its_mean():
    net = build("model=vae", "model.likelihood=continuous_bernoulli")
    z = torch.randn(3, 20)
    assert torch.equal(net.decode(z), losses.continuous_bernoulli_mean(net.decoder(z)))
