"""In a real browser: the page's networks compute what torch's do."""

import re

import pytest
import torch

from tests.conftest import longer
from tests.explorer.pages import lively, opened, pixels, written

SHAPE = (3, 9, 14)  # sides that convolutions pad and crop
NETS = {
    "linear": (),
    "mlp": ("net.hidden=[24,12]",),
    "conv": ("net.channels=[4,6]",),
    "gated": ("net.hidden=[24,12]",),
    "residual": ("net.channels=[4,8]", "net.blocks=2"),
}
MODELS = {
    "ae": ("net.activation=gelu",),
    "vae": ("net.activation=silu",),
    "beta_vae": ("model.likelihood=gaussian", "model.sigma=0.3", "net.activation=tanh"),
    "dae": ("model.likelihood=continuous_bernoulli", "net.activation=elu"),
    "sparse": ("net.activation=softplus", "model.latent_dim=40"),
    "contractive": ("net.activation=relu",),
}
CASES = [(model, net, MODELS[model]) for model in MODELS for net in ("linear", "mlp", "conv")]
CASES += [
    ("sparse", "mlp", ("model.penalty=topk", "model.k=3", "model.latent_dim=12")),
    ("sparse", "linear", ("model.penalty=l1", "model.latent_dim=12")),
    ("iwae", "mlp", ("net.activation=sigmoid",)),
    ("beta_tcvae", "conv", ("net.hidden=[9,7]",)),
    ("vae", "residual", ()),
    ("cvae", "residual", ("net.activation=relu",)),
    ("vae", "gated", ()),
    ("sparse", "gated", ("model.latent_dim=12",)),
    ("vae", "conv", ("net.norm=group",)),
    ("vae", "conv", ("net.kernel=3", "net.stride=1", "net.activation=tanh")),
    ("ae", "conv", ("net.kernel=5", "net.activation=tanh")),
    ("ae", "conv", ("net.kernel=2", "net.activation=tanh")),
    ("cvae", "conv", ("net.kernel=6", "net.stride=3", "net.hidden=[24]", "net.activation=tanh")),
    ("wae", "mlp", ()),
    ("wae", "conv", ("model.encoder=gaussian",)),
    ("cvae", "conv", ("net.activation=tanh",)),
    ("ae", "conv", ("model.likelihood=discretized_logistic", "model.output_bias=random")),
    ("vae", "linear", ("model.likelihood=gaussian", "model.sigma_mode=learned", "model.sigma_per_channel=true")),
    ("vae", "mlp", ("prior=mixture", "prior.components=5")),
    ("cvae", "linear", ("prior=vamp", "prior.components=12")),
]
ASK = """
const [images, codes, labels, told, packed] = arguments, list = values => Array.from(values);
byId("values").textContent = told;
byId("packed").textContent = packed;
return unpack().then(() => ({
  encoded: images.map((x, i) => list(encode(Float32Array.from(x), labels[i]))),
  decoded: codes.map((z, i) => list(decode(Float32Array.from(z), labels[i]))),
  recon: images.map((x, i) => {
    const z = encode(Float32Array.from(x), labels[i]);
    return reconstruction(Float32Array.from(x), decoded(z, labels[i]));
  }),
  kl: images.map((x, i) => {
    const { mu, logvar } = posterior(Float32Array.from(x), labels[i]);
    return logvar ? divergence(mu, logvar, mu) : 0;
  }),
  kept: list(image(7)),
}));
"""

IN = re.compile(r'<script type="[^"]*" id="(values|packed)">(.*?)</script>', re.DOTALL)


@pytest.fixture(scope="module")
def one_page(chromium, tmp_path_factory):
    """A page whose script all cases use: only what it is told is exchanged."""
    model = lively("model=ae", "net=linear", image_shape=SHAPE)
    opened(chromium, written(tmp_path_factory.mktemp("page") / "explore.html", model, images=pixels(3, SHAPE)))


def seldom(i: int, case: tuple):
    """Every other pair of a model and a network in the longer tests."""
    return longer(*case) if i % 2 and not case[2] else case


@pytest.mark.parametrize(
    ("name", "net", "words"),
    map(seldom, *zip(*enumerate(CASES), strict=True)),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_codes_images_and_scores_are_those_of_the_model(one_page, browser, tmp_path, name, net, words):
    words = [w for w in words if net != "linear" or not w.startswith("net.")]
    tied = ["model.tied=false"] if name == "contractive" and net == "conv" else []
    model = lively(f"model={name}", f"net={net}", *NETS[net], *words, *tied, image_shape=SHAPE)
    images, y = pixels(50, SHAPE), torch.arange(50) % 10
    x = images / 255
    with torch.no_grad():
        z = model.encode(x, y)
        codes = z + 0.5 * torch.randn(z.shape, generator=torch.Generator().manual_seed(3))
        decoded, recon = model.decode(codes, y), model.reconstruction(x, z, y)
        kl = model.prior.kl(*model.posterior(x, y), z) if model.has_posterior else torch.zeros(50)
    told = dict(
        IN.findall(written(tmp_path / "explore.html", model, images=images, labels=y).read_text(encoding="utf-8"))
    )
    found = browser.run(ASK, x.flatten(1).tolist(), codes.tolist(), y.tolist(), told["values"], told["packed"])
    assert z.std(0).max() > 0.01 and decoded.std(0).max() > 0.01  # they do depend on what they are given
    assert (torch.tensor(found["encoded"]) - z).abs().max() < 1e-2
    assert (torch.tensor(found["decoded"]) - decoded.flatten(1)).abs().max() < 2e-3
    assert found["recon"] == pytest.approx(recon.tolist(), rel=2e-3, abs=0.05)
    assert found["kl"] == pytest.approx(kl.tolist(), rel=2e-2, abs=1e-3)
    assert found["kept"] == pytest.approx(x[7].flatten().tolist(), abs=1e-6)
    assert browser.log("browser") == []
