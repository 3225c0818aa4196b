"""aetrain denoise and inpaint."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

import aetrain as package
from aetrain.data import mnist
from aetrain.errors import UserError
from aetrain.tasks.inpaint import inpaint
from aetrain.tasks.masks import mask_of
from tests.conftest import build
from tests.tasks.conftest import TINY

SHAPE = (1, 28, 28)


@pytest.mark.parametrize("name", ["left", "right", "top", "bottom", "center"])
def test_a_part_has_its_share(name):
    missing = mask_of(name, 0.25, SHAPE)
    assert missing.double().mean() == 0.25
    edges = {"left": missing[:, :, :7], "right": missing[:, :, -7:], "top": missing[:, :7], "bottom": missing[:, -7:]}
    assert all(edge.all() == (name == where) for where, edge in edges.items())


def test_a_mask_file_is_missing_where_it_is_white(tmp_path):
    pixels = np.zeros((28, 28), dtype=np.uint8)
    pixels[3:5, 6:9] = 255
    Image.fromarray(pixels).save(tmp_path / "mask.png")
    missing = mask_of(str(tmp_path / "mask.png"), None, SHAPE)
    assert missing.sum() == 6 and missing[0, 3:5, 6:9].all()


def test_a_wrong_mask_is_one_line(tmp_path):
    Image.fromarray(np.zeros((28, 28), dtype=np.uint8)).save(tmp_path / "black.png")
    Image.fromarray(np.full((9, 5), 255, dtype=np.uint8)).save(tmp_path / "small.png")
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG\r\n")
    told = {"black.png": "nothing is missing", "small.png": "5x9 pixels, the model's images 28x28",
            "damaged.png": "cannot be read", "none.png": "no such file"}  # fmt: skip
    for name, words in told.items():
        with pytest.raises(UserError, match=words):
            mask_of(str(tmp_path / name), None, SHAPE)
    with pytest.raises(UserError, match="says itself how much"):
        mask_of(str(tmp_path / "black.png"), 0.5, SHAPE)
    with pytest.raises(UserError, match="did you mean mask=center"):
        mask_of("centre", None, SHAPE)


def test_known_pixels_are_held_and_missing_ones_do_not_matter_in_the_end():
    """A linear autoencoder that projects on a plane: iterating finds the image in the plane that agrees with what is
    known, wherever it starts."""
    net = build(
        "model=ae", "net=linear", "model.latent_dim=2", "model.code_activation=identity", "model.output=identity"
    )
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(784, 2, generator=generator)).Q
    with torch.no_grad():
        net.encoder.layers[0].weight.copy_(basis.T)
        net.decoder.layers[0].weight.copy_(basis)
        net.encoder.layers[0].bias.zero_()
        net.decoder.layers[0].bias.zero_()
        truth = (torch.randn(4, 2, generator=generator) @ basis.T).view(4, 1, 28, 28)
    missing = mask_of("left", 0.5, SHAPE)
    start = torch.where(missing, 7.0, truth)
    found = inpaint(net, start, missing, steps=200)
    assert torch.equal(found[~missing.expand_as(found)], truth[~missing.expand_as(found)])
    torch.testing.assert_close(found, truth, atol=1e-4, rtol=0)


def test_inpaint_reports_what_was_gained(trained, tmp_path):
    done = package.inpaint(trained, "mask=bottom", "share=0.5", "n=50", "steps=5", "files=true", out=tmp_path / "o")
    assert done.metrics["gain_db"] == pytest.approx(done.metrics["psnr_after"] - done.metrics["psnr_before"])
    rows = list(csv.DictReader((tmp_path / "o" / "inpainted.csv").read_text().splitlines()))
    assert len(rows) == 50 and rows[0]["class"] == "7"
    assert np.mean([float(row["psnr_after"]) for row in rows]) == pytest.approx(done.metrics["psnr_after"])
    truth = mnist.load(package.config(*TINY).data)["test"].images[:50, 0]
    kept = np.stack([np.asarray(Image.open(tmp_path / "o" / "files" / f"{i:06d}.png")) for i in range(50)])
    assert (kept[:, :14] == truth.numpy()[:, :14]).all() and (kept[:, 14:] != truth.numpy()[:, 14:]).any()


def test_denoise_takes_the_runs_corruption_and_any_other(tmp_path):
    words = ["model=dae", "model.corruption=gaussian", "model.corruption_level=0.5", "trainer.max_steps=100",
             "optimizer.lr=0.01"]  # fmt: skip
    run = package.train(package.config(*TINY, *words), tmp_path / "run").folder
    own = package.denoise(run, "files=true", "n=20").metrics
    assert own["psnr_before"] == pytest.approx(9, abs=1)  # an error of σ²/2 where half of the noise is clipped
    assert own["gain_db"] > 0
    none = package.denoise(run, "corruption=masking", "level=0").metrics
    assert none["psnr_before"] is None  # infinite
    half = package.denoise(run, "mask=left", "level=0.5", "n=20", out=tmp_path / "o")
    truth = mnist.load(package.config(*TINY).data)["test"].images[:20, 0, :, :14] / 255
    rows = list(csv.DictReader((tmp_path / "o" / "denoised.csv").read_text().splitlines()))
    lost = -10 * np.log10(truth.square().flatten(1).sum(1).numpy() / 784)
    np.testing.assert_allclose([float(row["psnr_before"]) for row in rows], lost, rtol=1e-4)
    assert half.metrics["psnr_before"] == pytest.approx(lost.mean(), rel=1e-4)


@pytest.mark.parametrize(
    ("words", "told"),
    [(["mask=left", "corruption=masking"], "one or the other"), (["level=2"], "at most 1"),
     (["corruption=blur"], "choose from: masking")],
)  # fmt: skip
def test_a_corruption_that_cannot_be_is_one_line(trained, words, told):
    with pytest.raises(UserError, match=told):
        package.denoise(trained, *words)
