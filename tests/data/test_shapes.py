"""data=shapes: the grid is whole, factors mean what they are called, and images are the same however they are asked."""

import json
import math

import pytest
import torch

from aetrain.config.schema.data import Shapes
from aetrain.data import shapes
from aetrain.data.card import card
from aetrain.data.load import load
from tests.conftest import SMALL, compose

CPU = torch.device("cpu")


def config(**values):
    defaults = {
        "shapes": ["square", "ellipse", "heart"], "scales": 6, "orientations": 40, "columns": 32, "rows": 32,
        "colors": 1, "size": 64, "val_size": 10_000, "test_size": 10_000, "limit": None, "classes": None,
        "binarization": "none", "flip": False, "shift": 0, "resident": "auto",
    }  # fmt: skip
    return Shapes(name="shapes", **(defaults | values))


@pytest.fixture(scope="module")
def whole():
    return shapes.load(config())["train"]


def at(split, **values):
    """The image of these factor values, the others in their middle."""
    counts = {"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32}
    row = 0
    for name, count in counts.items():
        row = row * count + values.get(name, 0)
    x = split.gather(torch.tensor([row])).x[0, 0]
    assert split.factors(torch.tensor([row]))[0].tolist() == [values.get(name, 0) for name in counts]
    return x


def test_it_is_the_grid_of_dsprites(whole):
    known = card(compose("data=shapes").data)
    assert known.train == len(whole) == 737_280 and known.image_shape == whole.image_shape == (1, 64, 64)
    assert known.factors == ("shape", "scale", "orientation", "x", "y") and known.binary
    assert whole.labels.bincount().tolist() == list(known.counts["train"]) == [245_760] * 3
    rows = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))[:2000]
    x, y = whole.gather(rows)
    assert set(x.unique().tolist()) == {0, 1} and torch.equal(y, whole.factors(rows)[:, 0])
    area = x.sum((1, 2, 3))
    assert area.min() > 40 and not x[..., 0].any() and not x[..., -1].any() and not x[:, :, 0].any()
    factors = whole.factors(rows)
    assert (factors.amin(0) == 0).all() and factors.amax(0).tolist() == [2, 5, 39, 31, 31]


def test_factors_mean_what_they_are_called(whole):
    grid = (torch.arange(64) + 0.5) / 64
    for shape in range(3):
        areas = [at(whole, shape=shape, scale=scale, x=16, y=16).sum().item() for scale in range(6)]
        for scale, area in enumerate(areas):  # as the square of the scale
            assert area == pytest.approx(areas[5] * (0.5 + 0.1 * scale) ** 2, rel=0.15)
        left, right = (at(whole, shape=shape, scale=5, x=x, y=10) for x in (0, 31))
        centres = [(image.sum(0) * grid).sum() / image.sum() for image in (left, right)]
        assert (centres[1] - centres[0]).item() == pytest.approx(0.5, abs=0.01)
        turned = at(whole, shape=shape, scale=5, orientation=10, x=0, y=0)  # a quarter
        upright = at(whole, shape=shape, scale=5, orientation=0, x=0, y=0)
        corner = upright[:32, :32]
        assert (turned[:32, :32] != torch.rot90(corner, -1)).float().mean() < 0.02
    assert torch.equal(at(whole, scale=3, orientation=0), at(whole, scale=3, orientation=20))  # a square
    heart = [at(whole, shape=2, scale=5, orientation=k, x=16, y=16) for k in range(40)]
    assert all(not torch.equal(a, b) for i, a in enumerate(heart) for b in heart[:i])
    assert at(whole, scale=5, x=16, y=16).sum().item() == pytest.approx((0.32 * 64) ** 2, rel=0.08)
    ellipse = at(whole, shape=1, scale=5, x=16, y=16)
    assert ellipse.sum().item() == pytest.approx(math.pi * 0.2 * 0.12 * 64**2, rel=0.05)


def test_images_are_the_same_however_they_are_asked(whole):
    some = whole.take(torch.arange(0, len(whole), 5000))
    x, y = some.gather(torch.arange(len(some)))
    chunks = list(some.chunks(7))
    assert torch.equal(torch.cat([c.x for c in chunks]), x) and torch.equal(torch.cat([c.y for c in chunks]), y)
    assert torch.equal(some.first(5).x, x[:5]) and len(list(some.chunks(10, 25))) == 3
    assert some.names(torch.tensor([0, 1])) == ["0_0_0_0_0", "0_0_4_28_8"]
    torch.testing.assert_close(some.mean_image(), x.mean(0))


def test_fewer_values_and_colours():
    given = config(shapes=["heart", "square"], scales=1, orientations=2, columns=3, rows=1, colors=6, size=32,
                   val_size=6, test_size=6)  # fmt: skip
    known = card(given)
    assert known.train == 2 * 1 * 2 * 3 * 1 * 6 and known.factors[0] == "color" and not known.binary
    splits = load(given, CPU)
    assert [len(s) for s in (splits.train, splits.val, splits.test)] == [60, 6, 6]
    assert splits.classes == ("heart", "square") and splits.train.image_shape == (3, 32, 32)
    part = shapes.load(given)["train"]
    x = part.gather(torch.arange(72)).x
    hues = x.amax((2, 3))
    assert torch.equal(
        hues.unique(dim=0), torch.tensor([[0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 1], [1, 1, 0]])
    )
    hearts = load(config(classes=["heart"], val_size=10, test_size=10), CPU)
    assert len(hearts.train) == 245_740 and not hearts.train.labels[:100].any()
    assert (hearts.train.factors(torch.arange(50))[:, 0] == 2).all()


def test_it_trains(aetrain):
    code, _out, err = aetrain(*SMALL, "data=shapes", "net=conv", "model=beta_vae", "hydra.run.dir=run")
    assert code == 0, err
    result = json.loads((aetrain.folder / "run" / "result.json").read_text())
    assert result["status"] == "done" and math.isfinite(result["metrics"]["test/loss"])
