"""sample, traverse, interpolate and manifold."""

import csv
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

import aetrain as package
from aetrain.errors import UserError
from aetrain.evaluation.dimensions import Dimensions
from aetrain.tasks.interpolate import linear, spherical
from aetrain.tasks.manifold import from_square, to_square
from aetrain.tasks.traverse import row_labels
from tests.tasks.conftest import TINY


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    """An autoencoder with a code of two dimensions and no prior."""
    config = package.config(*TINY, "model=ae", "model.latent_dim=2")
    return package.train(config, tmp_path_factory.mktemp("flat") / "run").folder


def array(folder):
    return np.load(folder / "samples.npy")


# --- sample


@pytest.mark.parametrize("words", [(), ("density=gaussian",), ("density=mixture",), ("around=5",)])
def test_samples_depend_on_the_seed_and_not_on_portions(trained, tmp_path, words):
    found = {}
    for name, more in {"a": ("batch_size=7",), "b": ("batch_size=300",), "c": ("seed=1",)}.items():
        package.sample(trained, "n=20", "array=true", *words, *more, out=tmp_path / name)
        found[name] = array(tmp_path / name)
    assert found["a"].shape == (20, 1, 28, 28) and found["a"].dtype == np.uint8
    assert np.abs(found["a"].astype(int) - found["b"]).max() <= 1
    assert np.abs(found["a"].astype(int) - found["c"]).max() > 1


def test_a_wide_posterior_varies_its_image_more(trained, tmp_path):
    """Of the same image: draws spread around its reconstruction, as the posterior's variance says."""
    package.sample(trained, "around=5", "n=200", "array=true", out=tmp_path / "a")
    model, draws = package.load(trained), array(tmp_path / "a") / 255
    from aetrain.data.load import load

    x, _ = load(package.config(*TINY).data, torch.device("cpu")).test.gather(torch.tensor([5]))
    with torch.no_grad():
        mu, logvar = model.posterior(x)
        epsilon = torch.randn(2000, mu.shape[1], generator=torch.Generator().manual_seed(0))
        wanted = model.decode(mu + torch.exp(0.5 * logvar) * epsilon)
    assert draws.mean(0) == pytest.approx(wanted.mean(0).numpy(), abs=0.02)
    assert draws.std() == pytest.approx(float(wanted.std()), abs=0.02)


def test_what_a_model_lacks_is_said(flat, tmp_path):
    with pytest.raises(UserError, match="has no posterior"):
        package.sample(flat, "around=0")
    with pytest.raises(UserError, match="model=ae has none; give density=gaussian"):
        package.sample(flat, "density=prior")
    with pytest.raises(UserError, match="give range=posterior"):
        package.traverse(flat, "range=prior")
    assert not list(flat.glob("sample*"))
    assert package.sample(flat, "n=3", "files=true", out=tmp_path / "a").folder.joinpath("files/000002.png").exists()


# --- traverse


def test_dimensions_come_by_falling_kl_and_all_are_listed(trained, tmp_path):
    package.traverse(trained, "dims=2", "steps=5", out=tmp_path / "a")
    rows = list(csv.DictReader((tmp_path / "a" / "dimensions.csv").read_text().splitlines()))
    kl = [float(row["kl"]) for row in rows]
    tested = json.loads((trained / "result.json").read_text())["latent"]["kl_per_dimension"]
    assert kl[:2] == sorted(kl, reverse=True)[:2] and sorted(kl) == pytest.approx(sorted(tested), rel=1e-4)
    with Image.open(tmp_path / "a" / "traversals.png") as picture:
        left, *size, _ = map(int, picture.text["drawn"].split())
        assert size == [2 + 5 * 86, 2 + 2 * 86] and picture.width == left + size[0] and left > 0
    with Image.open(tmp_path / "a" / "traversals.gif") as film:
        assert film.n_frames == 8  # five steps there, three back


def test_rows_are_named_with_their_dimension_and_what_it_is_ordered_by():
    mean, std, kl = (torch.tensor(values, dtype=torch.float64) for values in ([0, 0], [0.5, 2], [0.001, 1.4678]))
    assert row_labels(Dimensions(mean, std, kl), [1, 0]) == ["z[1], KL 1.47", "z[0], KL 0.00"]
    assert row_labels(Dimensions(mean, std, None), [1, 0]) == ["z[1], variance 4", "z[0], variance 0.25"]


def test_a_mark_and_a_number_name_the_same_image(trained, tmp_path):
    """An image of the split, saved as a file, is traversed alike."""
    from aetrain.data.load import load
    from aetrain.pictures.grids import png

    x, _ = load(package.config(*TINY).data, torch.device("cpu")).test.gather(torch.tensor([4]))
    (tmp_path / "four.png").write_bytes(png(x[0]))
    first = package.traverse(trained, "of=4", "dims=1", out=tmp_path / "a").folder
    second = package.traverse(trained, f"of={tmp_path / 'four.png'}", "dims=1", out=tmp_path / "b").folder
    assert (first / "traversals.png").read_bytes() == (second / "traversals.png").read_bytes()
    with pytest.raises(UserError, match="counted from 0; give at most 299"):
        package.traverse(trained, "of=300")
    with pytest.raises(UserError, match="nowhere"):
        package.traverse(trained, "of=nowhere.png")


# --- interpolate


def test_both_ways_begin_and_end_at_the_codes(float64):
    draw = torch.Generator().manual_seed(0)
    a, b = (torch.randn(1, 50, generator=draw) for _ in range(2))
    t = torch.linspace(0, 1, 9)[:, None]
    for way in (linear, spherical):
        found = way(a, b, t)
        assert torch.allclose(found[[0, -1]], torch.cat([a, b]))
    middle = spherical(a / a.norm(), b / b.norm(), t)
    assert torch.allclose(middle.norm(dim=1), torch.ones(9))  # on the sphere
    steps = (middle[1:] - middle[:-1]).norm(dim=1)
    assert torch.allclose(steps, steps[0].expand(8))  # evenly
    for same in (a, -a, 0 * a):  # no arc: straight
        assert torch.allclose(spherical(a, same, t), linear(a, same, t))


def test_images_files_and_classes_can_be_ends(trained, tmp_path):
    folder = package.interpolate(trained, "between=[0,class:3,2]", "steps=4", out=tmp_path / "a").folder
    assert (folder / "interpolations.csv").read_text() == "row,from,to\n0,0,class:3\n1,class:3,2\n"
    with Image.open(folder / "interpolations.png") as picture:
        assert picture.width == 2 + 4 * 86 and picture.height > 2 + 2 * 86  # and a caption
    with pytest.raises(UserError, match="there is no such class"):
        package.interpolate(trained, "between=[class:three,1]")
    with pytest.raises(UserError, match="the way to where"):
        package.interpolate(trained, "between=[1]")


# --- manifold


@pytest.mark.parametrize("quantiles", [True, False])
def test_places_in_the_picture_and_codes_are_each_others_inverse(quantiles):
    u = torch.rand(100, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = from_square(u, 0.02, 0.98, quantiles)
    assert torch.allclose(to_square(z, 0.02, 0.98, quantiles), u)
    if quantiles:  # as likely in every part of the picture
        phi = from_square(torch.tensor([[0.5, 1.0]], dtype=torch.float64), 0.02, 0.98, True)[0]
        assert phi[0] == pytest.approx(0, abs=1e-12) and phi[1] == pytest.approx(2.0537, abs=1e-4)


def test_a_manifold_is_drawn_of_two_dimensions_alone(flat, trained, tmp_path, aetrain):
    found = package.manifold(flat, "steps=4", "margin=0.01", out=tmp_path / "a")
    assert math.isclose(found.metrics["codes_shown"], 1, abs_tol=0.08)
    with Image.open(found.folder / "manifold_only.png") as picture:
        assert picture.size == (4 * 28, 4 * 28)
    code, _, err = aetrain("manifold", f"run={trained}")
    assert code == 2 and "needs a code of 2 dimensions, this run's has 3" in err
