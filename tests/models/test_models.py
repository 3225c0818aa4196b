"""What the objectives promise, on models built as the command line builds them."""

import copy
import dataclasses

import pytest
import torch

from aetrain.config.schema.net import ACTIVATIONS
from aetrain.config.tables import MODELS
from aetrain.models.contractive import jacobian_squared_norm
from aetrain.noise import Noise
from aetrain.training.step import objective
from tests.conftest import build, compose

ALL = sorted(MODELS)


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize("arch", ["linear", "mlp", "conv"])
def test_every_term_is_per_image(model, arch, images, labels):
    untied = ["model.tied=false"] if model == "contractive" else []
    batch = 6 if arch == "conv" else 64  # the exact contraction of a conv encoder is slow
    net = build(f"model={model}", f"net={arch}", "model.latent_dim=8", *untied)
    x, y = images[:batch], labels[:batch]
    out = net(x, y)
    assert {value.shape for value in out.values()} == {(batch,)}
    assert set(net.weights()) <= set(out)
    assert net.decode(net.encode(x, y), y).shape == (batch, 1, 28, 28)


@pytest.mark.parametrize("model", ALL)
def test_loss_is_the_weighted_sum_of_the_terms(model, images, labels):
    net = build(f"model={model}")
    out = net(images, labels)
    expected = sum(float(weight) * out[name] for name, weight in net.weights().items())
    torch.testing.assert_close(out["loss"], expected)


HPARAM_CASES = [
    ("dae", "corruption_level", ["model.corruption=masking"]),
    ("dae", "corruption_level", ["model.corruption=independent_masking"]),
    ("dae", "corruption_level", ["model.corruption=occlusion"]),
    ("dae", "corruption_level", ["model.corruption=gaussian"]),
    ("dae", "corruption_level", ["model.corruption=salt_and_pepper"]),
    ("sparse", "rho", []),
    ("sparse", "sparsity_weight", []),
    ("sparse", "sparsity_weight", ["model.penalty=l1", "model.code_activation=relu"]),
    ("sparse", "l2_weight", ["model.l2_weight=1e-3"]),
    ("contractive", "contraction_weight", []),
    ("sparse", "rho_decay", ["model.rho_hat=ema"]),
    ("sparse", "aux_weight", ["model.penalty=topk", "model.k_aux=9", "model.dead_after=1"]),
    ("beta_tcvae", "alpha", []),
    ("beta_tcvae", "beta", []),
    ("beta_tcvae", "gamma", []),
    ("factor_vae", "gamma", []),
    ("dip_vae", "lambda_od", []),
    ("dip_vae", "lambda_d", []),
    ("wae", "mmd_weight", []),
    ("beta_vae", "recon_weight", []),
    ("beta_vae", "beta", []),
    ("beta_vae", "capacity", ["model.capacity=3"]),
    ("beta_vae", "gamma", ["model.capacity=3"]),
    ("vq_vae", "commitment_weight", []),
    ("vq_vae", "codebook_decay", ["net=mlp", "model.codebook_decay=0.5"]),
    (
        "vq_vae",
        "restart_below",
        ["model.codebook_size=8", "model.codebook_decay=0", "model.restart_below=0.4", "net=mlp"],
    ),
    *((model, "sigma", ["model.likelihood=gaussian"]) for model in ALL),
]


def test_every_hparam_has_a_case():
    declared = {(m, f.name) for m, cls in MODELS.items() for f in dataclasses.fields(cls) if f.metadata.get("hparam")}
    assert declared == {(model, name) for model, name, _ in HPARAM_CASES}


@pytest.mark.parametrize(("model", "name", "overrides"), HPARAM_CASES)
def test_perturbing_an_hparam_changes_the_objective(model, name, overrides, images, labels):
    net = build(f"model={model}", *overrides)
    buffer, start = getattr(net, name), copy.deepcopy(net.state_dict())

    def loss():
        """Of a third step: what an hparam does to a moving average shows then."""
        net.load_state_dict(start)
        with net.noise.fixed(0):
            net(images[:32], labels[:32]), net(images, labels)
            return net(images, labels)["loss"].mean().item()

    before = loss()
    buffer.mul_(1.5)
    assert loss() != pytest.approx(before, rel=1e-6)
    assert name not in net.state_dict()  # the configuration is its only stored source


def test_beta_vae_at_beta_1_is_vae_to_the_bit(images):
    losses = []
    for overrides in (["model=vae"], ["model=beta_vae", "model.beta=1"]):
        net = build(*overrides)
        torch.manual_seed(3)
        out = net(images)
        out["loss"].mean().backward()
        losses.append([*out.values(), *(p.grad for p in net.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*losses, strict=True))


def test_vae_samples_its_posterior(float64, images):
    # The mean over draws of z equals mu, its spread e^(logvar / 2), within the standard error.
    net = build("model=vae", "model.latent_dim=3")
    torch.manual_seed(0)
    with torch.no_grad():
        z = torch.stack([net.draw_code(images[:2].double()) for _ in range(4000)])
        mu, logvar = net.posterior(images[:2].double())
    std = torch.exp(0.5 * logvar)
    assert ((z.mean(0) - mu).abs() < 4.5 * std / 4000**0.5).all()
    assert ((z.std(0) / std - 1).abs() < 4.5 / (2 * 4000) ** 0.5).all()


# --- contractive


def test_contraction_of_every_activation_equals_jacrev(float64):
    net = build("model=contractive", "model.latent_dim=7", "net=mlp", "net.hidden=[12,9]",
                image_shape=(1, 5, 5))  # fmt: skip
    x = torch.rand(3, 1, 5, 5)
    for activation in ACTIVATIONS:
        net.config.activation = net.config.code_activation = net.encoder.activation = activation
        _check_contraction(net, x)


@pytest.mark.parametrize(
    "overrides",
    [
        ["net=linear"],  # closed form
        ["net=mlp", "net.hidden=[12]", "net.activation=tanh", "model.code_activation=identity"],
        ["net=mlp", "net.hidden=[800]", "net.activation=tanh"],  # wider than the image
        ["net=conv", "net.channels=[3,4]", "net.activation=softplus", "model.tied=false",
         "model.estimator=exact"],
    ],
)  # fmt: skip
def test_contraction_equals_jacrev(float64, overrides, images):
    _check_contraction(build("model=contractive", "model.latent_dim=7", *overrides), images[:5].double())


def _check_contraction(net, x):
    exact = torch.stack([torch.func.jacrev(net.encode)(image[None]).square().sum() for image in x])
    torch.testing.assert_close(net(x)["contraction"], exact, rtol=1e-5, atol=0)
    torch.testing.assert_close(jacobian_squared_norm(net.encode, x), exact, rtol=1e-5, atol=0)


@pytest.mark.parametrize("arch", [["linear"], ["mlp", "net.hidden=[6]", "net.activation=tanh"]])
def test_contraction_has_the_gradient_of_its_definition(float64, arch, images):
    net = build("model=contractive", "model.latent_dim=5", f"net={arch[0]}", *arch[1:])
    x, weights = images[:4].double(), [layer.weight for layer in net.encoder.layers]
    closed = torch.autograd.grad(net(x)["contraction"].sum(), weights)
    general = torch.autograd.grad(jacobian_squared_norm(net.encode, x).sum(), weights)
    torch.testing.assert_close(closed, general)


CONV = ["net=conv", "net.channels=[3,4]", "net.activation=softplus", "model.tied=false"]


@pytest.mark.parametrize("arch", [CONV, ["net=mlp", "net.hidden=[9]"]])
def test_hutchinson_is_unbiased_and_so_is_its_gradient(float64, arch, images):
    net = build("model=contractive", "model.latent_dim=6", "model.estimator=hutchinson", "model.probes=1", *arch)
    x, bias = images[:2].double(), next(p for n, p in net.encoder.named_parameters() if n.endswith("bias"))
    exact = jacobian_squared_norm(net.encode, x)
    torch.manual_seed(0)
    draws = [net.contraction(x) for _ in range(400)]
    wanted = torch.autograd.grad(exact.sum(), bias)[0]
    slopes = torch.stack([torch.autograd.grad(draw.sum(), bias)[0] for draw in draws])
    assert ((slopes.mean(0) - wanted).abs() < 4.5 * slopes.std(0) / 20 + 1e-12).all()
    values = torch.stack(draws).detach()  # (draws, B)
    assert ((values.mean(0) - exact).abs() < 4.5 * values.std(0) / 20).all()


def test_more_probes_narrow_the_estimate(float64):
    net = build("model=contractive", "model.latent_dim=6", "model.estimator=hutchinson", "net=linear",
                image_shape=(1, 6, 6))  # fmt: skip
    x, spread = torch.rand(1, 1, 6, 6), {}
    for probes in (1, 16):
        net.config.probes = probes
        spread[probes] = torch.stack([net.contraction(x) for _ in range(150)]).std().item()
    assert spread[16] == pytest.approx(spread[1] / 4, rel=0.25)


def test_auto_estimates_for_convolutions_in_training_only(float64, images):
    net, x = build("model=contractive", "model.latent_dim=6", *CONV), images[:3].double()
    exact = jacobian_squared_norm(net.encode, x)
    assert not torch.allclose(net.contraction(x), exact, rtol=1e-6)
    torch.testing.assert_close(net.eval().contraction(x), exact, rtol=1e-9, atol=0)


def test_tied_weights_are_the_encoders_transposed(images):
    net = build("model=contractive", "net=mlp", "net.hidden=[9]", "model.latent_dim=4")
    first, last = net.encoder.layers
    h = torch.relu(torch.nn.functional.linear(net.encode(images), last.weight.t(), net.decoder.biases[0]))
    expected = torch.nn.functional.linear(h, first.weight.t(), net.decoder.biases[1])
    torch.testing.assert_close(net.decoder(net.encode(images)).flatten(1), expected)
    assert sum(p.numel() for p in net.parameters()) == 784 * 9 + 9 + 9 * 4 + 4 + 9 + 784


# --- sparse


def test_sparse_kl_is_summed_over_units_of_the_batch_mean(images):
    net = build("model=sparse", "model.rho=0.2", "model.latent_dim=3")
    rho_hat = net.encode(images).mean(0).double()
    expected = (0.2 * (0.2 / rho_hat).log() + 0.8 * (0.8 / (1 - rho_hat)).log()).sum()
    assert net(images)["sparsity"][0].item() == pytest.approx(expected.item(), rel=1e-5)


def test_l2_sums_squared_weights_without_biases(images):
    net = build("model=sparse", "model.latent_dim=5")
    weights = [net.encoder.layers[0].weight, net.decoder.layers[0].weight]
    expected = sum(w.double().square().sum().item() for w in weights)
    assert net(images)["l2"][0].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("arch", ["linear", "mlp"])
@pytest.mark.parametrize("scale", [0.5, 2.0, 10.0])
def test_rescaling_cannot_lower_the_l1_objective_for_free(float64, arch, scale, images):
    """Shrinking the code and growing the decoder leaves the objective of a free decoder's reconstruction and lowers
    its penalty. With unit-norm columns the growth has no effect at all."""
    hidden = ["net.hidden=[12]"] if arch == "mlp" else []
    net = build("model=sparse", "model.penalty=l1", "model.code_activation=relu", f"net={arch}",
                "model.latent_dim=16", *hidden)  # fmt: skip
    x = images.double()
    before = {name: value.mean().item() for name, value in net(x).items()}
    with torch.no_grad():
        for layer in net.decoder.layers:
            layer.weight.mul_(scale)
    after = {name: value.mean().item() for name, value in net(x).items()}
    assert after["recon"] == pytest.approx(before["recon"], rel=1e-9)
    assert after["sparsity"] == pytest.approx(before["sparsity"], rel=1e-9)
    # The escape that a free decoder offers: code / c through a decoder · c.
    net.decoder.unit_norm = False
    code = net.encode(x)
    free = net.reconstruction(x, code).mean().item()
    with torch.no_grad():
        net.decoder.layers[0].weight.mul_(scale)
    assert net.reconstruction(x, code / scale).mean().item() == pytest.approx(free, rel=1e-9)


def test_dead_units_are_those_that_do_not_respond():
    net = build("model=sparse", "model.latent_dim=4")
    code = torch.tensor([[0.1, 0.9, 0.5, 0.0], [0.1, 0.1, 0.505, 0.0]])
    found = net.diagnostics({"code": code})
    assert found["dead_units"] == 3 and found["mean_activation"].item() == pytest.approx(code.mean().item())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_top_k_keeps_exactly_k_of_equal_activations(dtype):
    from aetrain.models.sparse import top_k

    code = torch.tensor([[1.0, 3.0, 1.0, 1.0, 2.0, 1.0], [5.0] * 6], dtype=dtype, requires_grad=True)
    kept = top_k(code, 3)
    assert kept.ne(0).sum(1).tolist() == [3, 3] and kept[0, [1, 4]].tolist() == [3.0, 2.0]
    kept.sum().backward()
    assert torch.equal(code.grad != 0, kept != 0)  # the gradient of what is kept, and of nothing else


def test_one_layers_contraction_is_float32_under_autocast(images):
    net = build("model=contractive", "model.latent_dim=30")
    exact = net.contraction(images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = net.contraction(images)
    assert mixed.dtype == torch.float32 and torch.equal(mixed, exact)


def test_top_k_keeps_the_k_largest_of_each_image(images):
    overrides = ["model=sparse", "model.penalty=topk", "model.code_activation=identity", "model.latent_dim=40"]
    net = build(*overrides, "model.k=7", "model.k_evaluation=11")
    full = net.encoder(images)
    for k, mode in ((7, True), (11, False)):
        code = net.train(mode).encode(images)
        kept = code != 0
        assert (kept.sum(1) == k).all() and torch.equal(code[kept], full[kept])
        assert (full.masked_fill(kept, -torch.inf).amax(1) <= full.masked_fill(~kept, torch.inf).amin(1)).all()
    assert "sparsity" not in net(images)


def test_the_moving_average_has_its_value_and_the_batchs_gradient(images):
    net = build("model=sparse", "model.latent_dim=6", "model.rho_hat=ema", "model.rho_decay=0.75", "model.rho=0.2")
    code, moving = net.encode(images), torch.full((6,), 0.2)
    for _ in range(3):
        moving = 0.75 * moving + 0.25 * code.detach().mean(0)
        rho_hat = net.mean_activation(code)
        torch.testing.assert_close(rho_hat.detach(), moving)
    gradient = torch.autograd.grad(rho_hat.sum(), code)[0]
    torch.testing.assert_close(gradient, torch.full_like(code, 1 / len(code)))
    assert torch.equal(net.state_dict()["moving.value"], net.moving.value)  # part of a checkpoint
    net.eval()(images)
    torch.testing.assert_close(net.moving.value, moving)  # evaluation leaves it alone


def test_l0_counts_units_over_the_threshold():
    net = build("model=sparse", "model.latent_dim=4")
    found = net.diagnostics({"code": torch.tensor([[0.1, 0.9, 0.005, 0.0], [0.1, -0.1, 0.5, 0.0]])})
    assert found["l0"].item() == 2.5 and found["dead_share"].item() == 0.5
    assert (
        net.findings({}, found) == []
        if found["dead_units"] < 2
        else "2 of 4 units are dead" in net.findings({}, found)[0]
    )


# --- denoising


@pytest.mark.parametrize("level", [0.0, 0.25, 0.3, 1.0])
def test_masking_zeroes_a_fixed_share_of_every_image(images, level):
    """Vincent et al. 2008: a fixed number of components of each image, every one of them as often."""
    net = build("model=dae", "model.corruption=masking", f"model.corruption_level={level}")
    torch.manual_seed(0)
    x = (images + 0.1).repeat(8, 1, 1, 1)  # no zeros of its own
    corrupted = net.corrupt(x)
    masked = corrupted == 0
    assert torch.equal(corrupted[~masked], x[~masked])
    assert (masked.flatten(1).sum(1) == round(784 * level)).all()
    often = torch.stack([net.corrupt(x[:16]) == 0 for _ in range(200)]).float().mean((0, 1))
    assert ((often - level).abs() <= 5 * (level * (1 - level) / 200) ** 0.5).all()


def test_masks_in_evaluation_depend_on_the_image_alone(images):
    net = build("model=dae", "model.corruption=masking").eval()
    x = images.repeat(5, 1, 1, 1) + 0.1
    with net.noise.fixed(3):
        whole = net.corrupt(x)
    parts = []
    for start in range(0, len(x), 97):
        with net.noise.fixed(3, start):
            parts.append(net.corrupt(x[start : start + 97]))
    assert torch.equal(whole, torch.cat(parts))
    assert len({tuple(row) for row in (whole == 0).flatten(1).tolist()}) > 0.7 * len(x)


def test_masks_are_uniform_over_the_subsets_of_pixels():
    """Of all masks with a share of the pixels, each is as likely as any other."""
    net = build("model=dae", "model.corruption=masking", "model.corruption_level=0.5")
    x = torch.ones(1, 1, 2, 3)
    torch.manual_seed(0)
    masks = torch.stack([(net.corrupt(x) == 0).flatten() for _ in range(4000)]).long()
    kinds, counts = (masks * 2 ** torch.arange(6)).sum(1).unique(return_counts=True)
    assert len(kinds) == 20  # 6 choose 3
    assert ((counts / 4000 - 1 / 20).abs() < 5 * (0.05 * 0.95 / 4000) ** 0.5).all()


@pytest.mark.parametrize("level", [0.04, 0.25, 1.0])
def test_occlusion_hides_one_rectangle(images, level):
    net = build("model=dae", "model.corruption=occlusion", f"model.corruption_level={level}")
    torch.manual_seed(0)
    x = images[:, :, :, :14] + 0.1
    hidden = (net.corrupt(x) == 0)[:, 0]
    height, width = round(28 * level**0.5), round(14 * level**0.5)
    assert (hidden.sum((1, 2)) == height * width).all()
    assert (hidden.any(2).sum(1) == height).all() and (hidden.any(1).sum(1) == width).all()
    rows = hidden.any(2).float().argmax(1)
    assert level == 1 or (rows.min() <= 2 and rows.max() >= 28 - height - 2)


def test_independent_masking_zeroes_the_share_asked_for_and_nothing_else(images):
    net = build("model=dae", "model.corruption=independent_masking", "model.corruption_level=0.25")
    torch.manual_seed(0)
    x = images + 0.1  # no zeros of its own
    corrupted = net.corrupt(x)
    changed = corrupted != x
    assert (corrupted[changed] == 0).all()
    assert changed.float().mean().item() == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / x.numel()) ** 0.5)


def test_salt_and_pepper_in_equal_shares(images):
    net = build("model=dae", "model.corruption=salt_and_pepper", "model.corruption_level=0.4")
    torch.manual_seed(0)
    x = images * 0.5 + 0.25  # neither 0 nor 1 of its own
    corrupted = net.corrupt(x)
    error = 4 * (0.2 * 0.8 / x.numel()) ** 0.5
    assert (corrupted == 0).float().mean().item() == pytest.approx(0.2, abs=error)
    assert (corrupted == 1).float().mean().item() == pytest.approx(0.2, abs=error)


def test_gaussian_corruption_has_the_level_as_standard_deviation(images):
    net = build("model=dae", "model.corruption=gaussian", "model.corruption_level=0.5")
    torch.manual_seed(0)
    noise = net.corrupt(images) - images
    assert noise.std().item() == pytest.approx(0.5, rel=4 / (2 * images.numel()) ** 0.5)


def test_the_target_is_the_clean_image(images):
    net = build("model=dae", "model.corruption_level=1.0")  # everything masked: the input says nothing of x
    recon = net(images)["recon"]
    constant = net.decode(net.encode(torch.zeros_like(images)))
    torch.testing.assert_close(recon, (images - constant).square().flatten(1).sum(1))


# --- noise


@pytest.mark.parametrize("batch", [1, 7, 128, 200])
def test_fixed_noise_depends_on_the_image_alone(batch):
    noise, like = Noise(), torch.empty(300, 2, 3)
    with noise.fixed(5):
        whole = noise.randn_like(like)
    parts = []
    for start in range(0, 300, batch):
        with noise.fixed(5, start):
            parts.append(noise.randn_like(like[start : start + batch]))
    assert torch.equal(torch.cat(parts), whole)
    with noise.fixed(6):
        assert not torch.equal(noise.randn_like(like), whole)


def test_fixed_noise_leaves_the_training_generator_alone():
    noise, state = Noise(), torch.get_rng_state()
    with noise.fixed(0):
        first, second = noise.rand_like(torch.empty(4)), noise.rand_like(torch.empty(4))
    assert torch.equal(torch.get_rng_state(), state) and not torch.equal(first, second)


@pytest.mark.parametrize("image_shape", [(1, 28, 28), (3, 9, 21), (1, 8, 8), (3, 50, 33)])
def test_convolutions_take_images_of_any_size(image_shape):
    model = build("model=vae", "net=conv", "net.channels=[4,8,8]", image_shape=image_shape)
    x = torch.rand(3, *image_shape)
    assert model.decode(model.encode(x)).shape == x.shape
    model(x)["loss"].mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_images_too_small_for_convolutions_are_a_user_error():
    from aetrain.errors import UserError

    with pytest.raises(UserError, match=r"at least 8 pixels, these are 1x2; give net=mlp"):
        compose("net=conv").net.check((1, 1, 2))


def test_doubling_the_side_multiplies_the_squared_error_by_four_and_nothing_else():
    config = ["model=vae", "model.likelihood=gaussian", "model.latent_dim=4"]
    small, large = build(*config, image_shape=(1, 8, 8)), build(*config, image_shape=(1, 16, 16))
    for net in (small, large):
        net.decoder.layers[-1].weight.data.zero_(), net.decoder.layers[-1].bias.data.zero_()  # x_hat = 1/2
    recon = [net(torch.zeros(2, 1, side, side))["recon"][0].item() for net, side in ((small, 8), (large, 16))]
    assert recon[1] == pytest.approx(4 * recon[0], rel=1e-6)


def test_a_name_that_is_not_listed_is_not_imported():
    config = compose("model=vae")
    config.model.name = "os"
    with pytest.raises(KeyError):
        from aetrain import models

        models.build(config.model, config.net, config.prior, None)


@pytest.mark.parametrize(
    ("model", "overrides"),
    [
        ("vae", ["model.likelihood=gaussian", "model.sigma_mode=optimal"]),
        ("vae", ["model.likelihood=gaussian", "model.sigma_mode=learned"]),
        ("vae", ["model.likelihood=gaussian", "model.sigma_mode=optimal", "model.sigma_per_channel=true"]),
        ("vae", ["model.likelihood=discretized_logistic"]),
        ("vae", ["prior=vamp", "prior.components=5"]),
        ("vae", ["model.likelihood=continuous_bernoulli"]),
        ("beta_vae", ["model.capacity=2"]),
        ("iwae", ["model.k=3"]),
        ("sparse", ["model.rho_hat=ema"]),
        ("sparse", ["model.penalty=topk", "model.code_activation=identity", "model.k=2"]),
        ("sparse", ["model.penalty=topk", "model.k=2", "model.k_aux=2", "model.dead_after=1"]),
        ("contractive", ["model.estimator=hutchinson"]),
        ("contractive", ["net=mlp", "net.hidden=[11]"]),
        ("cvae", []),
        ("beta_tcvae", []),
        ("beta_tcvae", ["model.sampling=weighted"]),
        ("vq_vae", ["net=conv", "net.channels=[4]"]),
        ("vq_vae", ["net=residual", "net.channels=[4]", "model.codebook=loss"]),
        ("dip_vae", []),
        ("factor_vae", ["model.discriminator=[20]"]),
        ("wae", []),
        ("wae", ["model.encoder=gaussian"]),
        ("vae", ["net=residual", "net.channels=[4]"]),
        ("vae", ["net=conv", "net.channels=[4]", "net.norm=group"]),
    ],
)
def test_members_of_a_stack_are_as_if_alone(float64, model, overrides, images, labels):
    """What DESIGN asks of every model: two members under vmap, one pass each, equal values and gradients."""
    nets = [build(f"model={model}", "model.latent_dim=6", *overrides, seed=seed) for seed in (1, 2)]
    x, y = images[:8].double(), labels[:8]
    alone = []
    for net in nets:
        net = copy.deepcopy(net)
        torch.manual_seed(4)
        out = net(x, y)
        objective(net, out).mean().backward()
        alone.append([*out.values(), *(p.grad for p in net.parameters()), *net.buffers()])
    params, buffers = torch.func.stack_module_state(nets)
    base = copy.deepcopy(nets[0])

    def member(params, buffers):
        return torch.func.functional_call(base, (params, buffers), (x, y))

    torch.manual_seed(4)
    out = torch.func.vmap(member, randomness="same")(params, buffers)
    objective(base, out).mean(1).sum().backward()
    for i, expected in enumerate(alone):
        stacked = [*(v[i] for v in out.values()), *(params[n].grad[i] for n, _ in nets[i].named_parameters()),
                   *(buffers[n][i] for n, _ in nets[i].named_buffers())]  # fmt: skip
        for one, other in zip(stacked, expected, strict=True):
            torch.testing.assert_close(one, other)
