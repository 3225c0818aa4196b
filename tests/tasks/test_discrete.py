"""Tasks on a model whose code is chosen from a codebook."""

import json

import numpy as np
import pytest
import torch

import aetrain as package
from aetrain.errors import UserError
from aetrain.evaluation.density import Positions
from tests.conftest import SMALL

VQ = (*SMALL, "data.val_size=100", "model=vq_vae", "net.channels=[4]", "model.latent_dim=2", "model.codebook_size=16",
      "device.threads=1")  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return package.train(package.config(*VQ), tmp_path_factory.mktemp("vq") / "run").folder


def test_evaluate_repeats_the_result_and_leaves_out_the_jacobian(run):
    found = package.evaluate(run, "nll_samples=0").metrics
    tested = json.loads((run / "result.json").read_text())["metrics"]
    assert {tag: found[tag] for tag in tested if tag.startswith("test/")} == {
        tag: value for tag, value in tested.items() if tag.startswith("test/")
    }
    assert 0 < found["test/rate"] < found["test/rate_bound"] == pytest.approx(14 * 14 * 4 / 784)
    assert "test/linear_probe" in found and "test/jacobian_norm" not in found


@pytest.mark.parametrize("task", ["reconstruct", "interpolate", "embed", "retrieve", "denoise", "inpaint", "export"])
def test_what_does_not_move_single_numbers_works(run, task):
    assert getattr(package, task)(run, *(["projector=false"] if task == "embed" else [])).folder.exists()


@pytest.mark.parametrize("task", ["traverse", "manifold", "inspect", "explore"])
def test_what_moves_single_numbers_says_what_to_do_instead(run, task):
    with pytest.raises(UserError, match=rf"aetrain {task}: moves single numbers .* model=vq_vae .* see aetrain "):
        getattr(package, task)(run)


@pytest.mark.parametrize("density", ["null", "positions", "gaussian", "mixture"])
def test_samples_are_of_the_codebook(run, density):
    images = np.load(package.sample(run, "n=12", f"density={density}", "array=true").folder / "samples.npy")
    model = package.load(run)
    again = model.decode(model.encode(torch.from_numpy(images).float() / 255))
    assert images.shape == (12, 1, 28, 28) and again.shape == images.shape


def test_it_has_no_prior_and_others_have_no_positions(run, trained):
    with pytest.raises(UserError, match="density=prior: model=vq_vae has none; give density=positions"):
        package.sample(run, "density=prior")
    with pytest.raises(UserError, match="density=positions: the code of model=beta_vae has none"):
        package.sample(trained, "density=positions")
    with pytest.raises(UserError, match="passes no gradient to the encoder"):
        package.config(*VQ, "task=classify")


def test_positions_are_drawn_alone_each_as_often_as_in_the_images():
    codes = torch.tensor([[0.0, 10.0], [0.0, 10.0], [1.0, 10.0], [2.0, 13.0]]).unsqueeze(1)  # (N, 1, 2)
    drawn = Positions(codes).sample(20_000, seed=0)
    shares = [(drawn[:, 0] == value).double().mean() for value in (0, 1, 2)]
    assert shares == pytest.approx([0.5, 0.25, 0.25], abs=0.015)
    both = ((drawn[:, 0] == 2) & (drawn[:, 1] == 13)).double().mean()
    assert both == pytest.approx(0.25 * 0.25, abs=0.01)  # which in the images go together
