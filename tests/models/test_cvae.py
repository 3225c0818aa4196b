"""A VAE that is given the label."""

import dataclasses

import pytest
import torch

import aetrain as package
from aetrain import models
from aetrain.data.split import Split
from aetrain.errors import UserError
from aetrain.evaluation.by_likelihood import accuracy_by_likelihood
from tests.conftest import build, compose, facts


def one_class(model):
    torch.manual_seed(0)
    config = compose(f"model={model}", "net.hidden=[16]")
    return models.build(config.model, config.net, config.prior, dataclasses.replace(facts(), n_classes=1))


def test_with_one_class_it_is_vae_to_the_bit(images):
    found = []
    for model in ("vae", "cvae"):
        net = one_class(model)
        torch.manual_seed(3)
        out = net(images, torch.zeros(64, dtype=torch.int64))
        out["loss"].mean().backward()
        found.append([net.state_dict(), *out.values(), *(p.grad for p in net.parameters())])
    assert found[0][0].keys() == found[1][0].keys()
    assert all(torch.equal(a, b) for a, b in zip(found[0][1:], found[1][1:], strict=True))


def test_an_image_for_each_class_is_a_label_beside_the_pixels(float64, images, labels):
    """What a dense encoder makes of [x, label] with any weights V for the label, it makes of x + V' y."""
    net = build("model=cvae", "net.hidden=[40]", "model.latent_dim=3")
    first = net.encoder.layers[0]
    beside = torch.randn(40, 9)
    with torch.no_grad():
        net.label_images.copy_((torch.linalg.pinv(first.weight) @ beside).T.unflatten(1, (1, 28, 28)))
    x, code = images.double(), net.label_code(labels, images.double())
    h = torch.relu(first(x.flatten(1)) + code @ beside.T)
    torch.testing.assert_close(net.encoder_output(x, labels), net.encoder.layers[1](h))


def test_every_class_is_encoded_and_decoded_otherwise(images):
    net = build("model=cvae", "net.hidden=[40]")
    torch.nn.init.normal_(net.label_images)
    y = torch.arange(10)
    codes, decoded = net.encode(images[:1].expand(10, -1, -1, -1), y), net.decode(torch.zeros(10, 20), y)
    for each in (codes, decoded):
        assert len(each.detach().flatten(1).unique(dim=0)) == 10


@pytest.mark.parametrize("label", [-1, 10])
def test_a_label_that_is_none_of_the_models_passes_for_no_other(images, label):
    net = build("model=cvae", "net.hidden=[16]")
    y = torch.tensor([3, label])
    for out in (net.encode(images[:2], y), net.decode(torch.zeros(2, 20), y)):
        assert out[0].isfinite().all() and out[1].isnan().all()


def test_without_labels_it_says_what_to_give(images):
    with pytest.raises(UserError, match=r"model=cvae: needs the images' labels: give y"):
        build("model=cvae", "net.hidden=[16]").encode(images)


def test_the_class_with_the_highest_likelihood_is_found():
    """Images that are one of ten means plus noise, a decoder that knows the means, codes that say nothing: by Bayes'
    rule the nearest mean is the class."""
    net = build("model=cvae", "net=linear", "model.latent_dim=2", "model.likelihood=gaussian", "model.output=identity",
                "model.sigma=0.5", image_shape=(1, 2, 2))  # fmt: skip
    generator = torch.Generator().manual_seed(1)
    means = torch.rand(10, 4, generator=generator)
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
        net.decoder.layers[0].bias.copy_(means[0])
        net.decoder.layers[0].weight[:, 2:] = (means[1:] - means[0]).T
    y = torch.arange(300) % 10
    x = means[y] + 0.2 * torch.randn(300, 4, generator=generator)
    nearest = torch.cdist(x, means).argmin(1)
    found = accuracy_by_likelihood(net, Split(x.view(-1, 1, 2, 2), y), seed=0)
    assert found == pytest.approx(float((nearest == y).double().mean()))
    assert 0.3 < found < 0.99


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["data=patches"], "data=patches has no labels here"),
        (
            ["task=classify"],
            "its codes hold what is left; use model=vae, or accuracy_by_likelihood of aetrain evaluate",
        ),
    ],
)
def test_what_a_configuration_shows_is_told_at_once(words, told):
    with pytest.raises(UserError, match=told):
        package.config("model=cvae", *words)
