"""Images that are read while training: the same images in the same order as resident ones; and augmentation."""

import json

import numpy as np
import pytest
import torch

from aetrain.data.augment import augment
from aetrain.data.lazy import Lazy, Stored
from aetrain.data.split import Split
from aetrain.training.batches import Batches
from tests.conftest import SMALL


@pytest.fixture
def part():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (103, 3, 6, 5), dtype=torch.uint8, generator=generator)
    return Split(images, torch.arange(103) % 7, torch.arange(206).view(103, 2), [f"{i}.png" for i in range(103)])


def both(part, rows=None):
    rows = torch.arange(len(part)) if rows is None else rows
    return part.take(rows), Lazy(Stored(part, torch.device("cpu")), rows)


def test_a_split_that_is_read_answers_as_a_resident_one(part):
    rows = torch.arange(2, 100, 3)
    resident, read = both(part, rows)
    index = torch.tensor([5, 0, 31, 5])
    for a, b in zip(resident.gather(index), read.gather(index), strict=True):
        assert torch.equal(a, b)
    for theirs, ours in zip(resident.chunks(10, 25), read.chunks(10, 25), strict=True):
        assert torch.equal(theirs.x, ours.x) and torch.equal(theirs.y, ours.y)
    assert torch.equal(resident.first(3).x, read.first(3).x) and len(resident) == len(read)
    assert torch.equal(resident.factors(index), read.factors(index)) and resident.names(index) == read.names(index)
    torch.testing.assert_close(resident.mean_image(), read.mean_image())
    assert resident.image_shape == read.image_shape and torch.equal(resident.labels, read.labels)


@pytest.mark.parametrize("start", [0, 7])
def test_the_same_batches_in_the_same_order(part, start):
    resident, read = (Batches(split, 10, seed=3, flip=True, shift=1, binarize=True) for split in both(part))
    assert read.per_epoch == resident.per_epoch == 10 and not read.is_resident
    for step in range(start, 35):
        torch.manual_seed(step)
        a = resident.get(step)
        torch.manual_seed(step)
        b = read.get(step)
        assert torch.equal(a.x, b.x) and torch.equal(a.y, b.y)


WORDS = [*SMALL, "data.flip=true", "data.shift=2", "trainer.max_steps=12", "data.limit=300"]


def result(folder):
    return json.loads((folder / "result.json").read_text())["metrics"]


def test_runs_are_equal_to_the_bit(aetrain, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (400, 10, 10), dtype=np.uint8)
    np.save(tmp_path / "a.npy", images)
    data = ["data=array", f"data.path={tmp_path / 'a.npy'}"]
    for name, words in (("resident", ["data.resident=true"]), ("read", ["data.resident=false"])):
        code, _out, err = aetrain(*WORDS, *data, *words, f"hydra.run.dir={name}")
        assert code == 0, err
    assert result(aetrain.folder / "resident") == result(aetrain.folder / "read")
    halved = [*WORDS, *data, "data.resident=false", "trainer.max_steps=7", "hydra.run.dir=halves"]
    assert aetrain(*halved)[0] == 0
    code, _out, err = aetrain("resume=halves", "trainer.max_steps=12")
    assert code == 0, err
    halves, read = result(aetrain.folder / "halves"), result(aetrain.folder / "read")
    # The meters of the training split begin anew where a run has come to its end.
    assert {tag: v for tag, v in halves.items() if tag[:5] != "train"}.items() <= read.items()


def test_members_of_a_stack_see_the_same_images(aetrain):
    words = [*WORDS, "model=beta_vae", "data=digits", "hydra.sweep.dir=sweep", "device=cpu"]
    code, _out, err = aetrain("-m", *words, "model.beta=1,4", "hydra.launcher.mode=stack")
    assert code == 0, err
    code, _out, err = aetrain(*words, "model.beta=4", "hydra.run.dir=alone")
    assert code == 0, err
    (member,) = (aetrain.folder / "sweep").glob("1_*")
    alone, stacked = result(aetrain.folder / "alone"), result(member)
    assert stacked["test/loss"] == pytest.approx(alone["test/loss"], rel=1e-5)


def test_augmentation():
    x = torch.rand(500, 2, 7, 9, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    flipped = augment(x, flip=True, shift=0)
    same, mirrored = ((flipped == other).flatten(1).all(1) for other in (x, x.flip(-1)))
    assert (same ^ mirrored).all() and 200 < mirrored.sum() < 300
    moved = augment(x, flip=False, shift=2)
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2), mode="replicate")
    places = [padded[:, :, i : i + 7, j : j + 9] for i in range(5) for j in range(5)]
    found = torch.stack([(moved == place).flatten(1).all(1) for place in places])  # (25, B)
    assert (found.sum(0) == 1).all() and (found.sum(1) > 3).all()
    assert torch.equal(augment(x, False, 0), x)
