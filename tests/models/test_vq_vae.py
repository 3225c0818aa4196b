"""The VQ-VAE against numpy, double loops and known distributions."""

import math

import numpy as np
import pytest
import torch

from aetrain.device import Precision
from aetrain.models.codebook import BESIDE, AveragedCodebook, Codebook
from aetrain.models.vq_vae import entropy, occurrences
from aetrain.noise import Noise
from tests.conftest import build

CPU = torch.device("cpu")
SMALL = ["model=vq_vae", "net=mlp", "net.hidden=[12]", "model.latent_dim=3", "model.positions=5",
         "model.codebook_size=7"]  # fmt: skip


@pytest.fixture
def net(float64):
    return build(*SMALL)


@pytest.fixture
def x(float64, images):
    return images[:20].double()


@pytest.mark.parametrize("words", [["net=conv", "net.channels=[4,6]"], ["net=residual", "net.channels=[4]"], SMALL[1:]])
def test_the_code_is_the_nearest_vector_at_every_position(words, images):
    net = build("model=vq_vae", "model.latent_dim=3", "model.codebook_size=7", *words)
    with torch.no_grad():
        outputs, book = net.encoder(images[:4]).numpy().reshape(4, 3, -1), net.codebook.vectors.numpy()
        indices, code = net.indices(images[:4]), net.encode(images[:4])
    assert indices.shape[1:] == net.grid and code.shape == (4, *net.code_shape)
    for b in range(4):
        for p in range(outputs.shape[2]):
            distances = [((outputs[b, :, p] - vector) ** 2).sum() for vector in book]
            index = int(indices[b].flatten()[p])
            assert distances[index] == pytest.approx(min(distances), rel=1e-4)
            np.testing.assert_array_equal(code[b].numpy().reshape(3, -1)[:, p], book[index])
    assert torch.equal(net.lookup(indices), code)
    near = code + 1e-4 * torch.randn_like(code)
    assert torch.equal(net.decode(near), net.decode(code))  # what is decoded is always of the codebook


def test_convolutions_see_of_an_image_what_is_near():
    """A change in one corner changes codes in that corner alone."""
    net = build("model=vq_vae", "net=conv")
    x = torch.rand(1, 1, 28, 28)
    other = x.clone()
    other[..., :4, :4] = 1 - other[..., :4, :4]
    changed = (net.outputs(x) != net.outputs(other)).any(2).view(7, 7)
    assert changed[0, 0] and not changed[3:].any() and not changed[:, 3:].any()


def test_the_gradient_goes_straight_through(net, x):
    """d recon / d z_e is the decoder's gradient at z, to which commitment adds 2 w (z_e − z)."""
    z_e = net.encoder_output(x).detach().requires_grad_()
    net.encoder_output = lambda x, y=None: z_e
    net.eval()(x)["loss"].sum().backward()
    z = net.rounded(z_e).detach().requires_grad_()
    net.reconstruction(x, z).sum().backward()
    torch.testing.assert_close(z_e.grad, z.grad + 2 * 0.25 * (z_e - z).detach())


def test_a_learned_codebook_moves_to_the_outputs_alone(float64, x):
    """By 2 (z − z_e) summed over the outputs of each code; recon and commitment do not reach it."""
    net = build(*SMALL, "model.codebook=loss").eval()
    net(x)["loss"].sum().backward()
    with torch.no_grad():
        z_e, book, codes = net.outputs(x).flatten(0, 1), net.codebook.learned, net.indices(x).flatten()
        expected = torch.zeros_like(book)
        for output, code in zip(z_e, codes, strict=True):
            expected[code] += 2 * (book[code] - output)
    torch.testing.assert_close(net.codebook.learned.grad, expected)
    assert [name for name, _ in build(*SMALL).codebook.named_parameters()] == []


@pytest.mark.parametrize("kind", [AveragedCodebook, Codebook])
def test_two_steps_of_the_averages_as_by_hand(kind, float64):
    """van den Oord et al. 2017, eq. 6–8, with N and m divided by an even use, and no restarts."""
    torch.manual_seed(0)
    book = kind(4, 2, Noise())
    decay, none = torch.tensor(0.9), torch.tensor(0.0)
    usage, sums, vectors = np.zeros(4), np.zeros((4, 2)), book.vectors.detach().numpy().copy()
    for _ in range(2):
        z = torch.randn(12, 2)
        codes = book.nearest(z)
        book.follow(z, codes, decay, none)
        for k in range(4):
            mine = z.numpy()[codes.numpy() == k]
            usage[k] = 0.9 * usage[k] + 0.1 * len(mine) / 3
            sums[k] = 0.9 * sums[k] + 0.1 * mine.sum(0) / 3
            if usage[k] > 0 and kind is AveragedCodebook:
                vectors[k] = sums[k] / usage[k]
    np.testing.assert_allclose(book.usage.numpy(), usage, atol=1e-12)
    np.testing.assert_allclose(book.vectors.detach().numpy(), vectors, atol=1e-12)


@pytest.mark.parametrize("kind", [AveragedCodebook, Codebook])
def test_dead_codes_start_again_at_outputs_and_the_others_stay(kind):
    torch.manual_seed(0)
    book, z = kind(6, 2, Noise()), torch.tensor([[1.0, 1.0], [1.2, 1.0], [-1.0, -1.0], [-1.1, -1.0]])
    with torch.no_grad():
        target = book.learned if kind is Codebook else book.averages
        target.copy_(torch.tensor([[1.0, 1.0], [-1.0, -1.0], *[[50.0 + i, 0.0] for i in range(4)]]))
    book.usage.copy_(torch.tensor([3.0, 3.0, 0.0, 1e-3, 0.009, 0.5]))
    if kind is AveragedCodebook:
        book.sums.copy_(book.averages * book.usage.unsqueeze(1))
    before = book.vectors.detach().clone()
    book.follow(z, book.nearest(z), torch.tensor(1.0), torch.tensor(0.01))
    after = book.vectors.detach()
    torch.testing.assert_close(after[[0, 1, 5]], before[[0, 1, 5]])
    distances = torch.cdist(after[2:5], z).amin(1)
    assert distances.min() > 0 and distances.max() < 5 * BESIDE
    assert book.usage.tolist() == pytest.approx([3.0, 3.0, 1.0, 1.0, 1.0, 0.5])


@pytest.mark.parametrize("kind", [AveragedCodebook, Codebook])
def test_codes_that_start_again_at_equal_outputs_differ(kind, float64):
    """Else rounding would choose between them, and a stack's rounding otherwise than a model's alone."""
    torch.manual_seed(0)
    book, z = kind(8, 2, Noise()), torch.tensor([[0.0, 1.0]] * 40 + [[3.0, -1.0]])
    book.follow(z, book.nearest(z), torch.tensor(0.9), torch.tensor(0.1))
    assert torch.pdist(book.vectors.detach()).min() > 1e-6
    nearest = book.nearest(z)
    assert torch.equal(nearest, book.nearest(z * (1 + 1e-14))) and len(nearest.unique()) == 2


@pytest.mark.parametrize("kind", [AveragedCodebook, Codebook])
def test_restarts_bring_a_codebook_back_into_use(kind):
    """Outputs that drift leave a codebook behind: without restarts one code is left for all of them."""
    perplexities = []
    for restart in (0.0, 0.1):
        torch.manual_seed(0)
        book = kind(32, 2, Noise())
        for step in range(60):
            z = torch.randn(200, 2) + (0.0 if step < 10 else 30.0)
            codes = book.nearest(z)
            book.follow(z, codes, torch.tensor(0.9), torch.tensor(restart))
        perplexities.append(float(entropy(torch.bincount(codes, minlength=32) / len(codes)).exp()))
    assert perplexities[0] < 2 and perplexities[1] > 16


def test_perplexity_and_bits_are_those_of_known_distributions():
    net = build(*SMALL)
    shares = torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(entropy(shares) / math.log(2), torch.tensor([1.5, 0.0]))
    uniform = torch.arange(7).repeat(10).view(14, 5)
    assert net.diagnostics({"indices": uniform})["perplexity"] == pytest.approx(7)
    one_each = torch.arange(5).repeat(8, 1)  # a code of its own at every position: nothing is left to say
    found = net.diagnostics({"indices": one_each})
    assert found["perplexity"] == pytest.approx(5) and found["used_codes"] == 5 and found["rate"] == 0
    two = torch.tensor([[0, 1, 2, 3, 4], [0, 1, 2, 3, 5]])  # one bit at the last position
    assert net.diagnostics({"indices": two})["rate"] == pytest.approx(1 / 784)
    assert net.diagnostics({"indices": two})["rate_bound"] == pytest.approx(5 * math.log2(7) / 784)
    indices = torch.randint(0, 7, (20, 5))
    counts = occurrences(indices, 7)
    for p in range(5):
        assert counts[p].tolist() == np.bincount(indices[:, p].numpy(), minlength=7).tolist()


def test_nelbo_is_recon_and_the_uniform_priors_nats(net, x):
    out = net.eval()(x)
    torch.testing.assert_close(out["nelbo"], out["recon"] + 5 * math.log(7))


def test_bf16_leaves_averages_and_distances_in_full(images):
    """They are of the outputs as they come, also in low precision."""
    net = build("model=vq_vae", "model.restart_below=0", "model.codebook_size=5")
    with torch.no_grad(), Precision.of("bf16", CPU).autocast():
        z_e = net.outputs(images)
        codes = net.codebook.nearest(z_e)
        net(images)
    z_e, codes = z_e.flatten(0, 1), codes.flatten()
    for code in codes.unique().tolist():
        torch.testing.assert_close(net.codebook.vectors[code], z_e[codes == code].mean(0), rtol=1e-5, atol=1e-6)
