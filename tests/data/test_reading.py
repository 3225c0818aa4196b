"""Images that are read while training: the same images in the same order as resident ones; and augmentation."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from aetrain.data import binarize
from aetrain.data.augment import augment
from aetrain.data.lazy import Lazy, Stored
from aetrain.data.load import load
from aetrain.data.memory import is_resident
from aetrain.data.split import Split
from aetrain.errors import UserError
from aetrain.noise import mix
from aetrain.training.batches import Batches
from tests.conftest import SMALL, compose

CPU = torch.device("cpu")


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
    assert torch.equal(resident.mean_image(), read.mean_image())
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


@pytest.mark.cuda
@pytest.mark.parametrize("set_", ["array", "digits"])
def test_a_graph_of_batches_that_are_read_equals_eager(aetrain, tmp_path, set_):
    """Their buffers are filled while the graph of the step before may still run; digits are computed with the host's
    labels. Flips and shifts are drawn within the graph."""
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (400, 10, 10), dtype=np.uint8))
    data = ["data=array", f"data.path={tmp_path / 'a.npy'}"] if set_ == "array" else ["data=digits"]
    words = [*(w for w in WORDS if w != "device=cpu"), *data, "data.resident=false", "device=cuda",
             "trainer.epochs=20", "trainer.max_steps=120"]  # fmt: skip
    for name, graph in (("graph", "true"), ("eager", "false")):
        code, _out, err = aetrain(*words, f"trainer.cuda_graph={graph}", f"hydra.run.dir={name}")
        assert code == 0, err
    assert result(aetrain.folder / "graph") == pytest.approx(result(aetrain.folder / "eager"), rel=1e-5)


@pytest.mark.longer
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


@pytest.mark.parametrize("how", ["static", "dynamic", "threshold"])
@pytest.mark.parametrize("classes", [[], ["data.classes=[3,8]"]])
def test_binarized_images_are_the_same_read_or_held(how, classes):
    words = ["data=digits", f"data.binarization={how}", "trainer.batch_size=2", *classes]
    held, read = (load(compose(*words, f"data.resident={kind}").data, CPU) for kind in ("true", "false"))
    assert isinstance(held.train, Split) and isinstance(read.train, Lazy)
    for a, b in ((held.train, read.train), (held.val, read.val), (held.test, read.test)):
        index = torch.arange(len(a))
        assert torch.equal(a.gather(index).x, b.gather(index).x) and torch.equal(a.labels, b.labels)
        assert set(a.gather(index).x.unique().tolist()) == {0, 1} or (how == "dynamic" and a is held.train)
    assert torch.equal(held.facts().mean_image, read.facts().mean_image)


def test_what_is_drawn_does_not_depend_on_the_portions(part, monkeypatch):
    """The pixels that 0.1 drew: all in one piece."""
    _, whole = both(part)
    rows = torch.tensor([100, 3, 50, 4])
    monkeypatch.setattr(binarize, "AT_ONCE", 7 * 90)
    drawn = binarize.draw(whole, "train", rows)
    generator = torch.Generator().manual_seed(mix("static binarization", "train"))
    noise = torch.rand((103, 3, 6, 5), generator=generator)
    wanted = (noise < part.images / 255)[rows]
    assert torch.equal(drawn.gather(torch.arange(4)).x.bool(), wanted)
    assert torch.equal(drawn.labels, part.labels[rows]) and drawn.names(torch.tensor([1])) == ["3.png"]
    assert torch.equal(drawn.factors(torch.tensor([2])), part.of_factors[rows[2:3]])


def test_static_binarization_is_a_share_of_the_pixels(part):
    many = Split(torch.full((4000, 1, 4, 4), 51, dtype=torch.uint8), torch.zeros(4000, dtype=torch.int64))
    _, whole = both(many)
    drawn = binarize.draw(whole, "train", torch.arange(4000))
    assert drawn.mean_image().mean().item() == pytest.approx(0.2, abs=0.01)


def test_computed_images_are_not_drawn_once():
    words = ("data=shapes", "data.colors=4", "data.limit=20", "trainer.batch_size=2")
    with pytest.raises(UserError, match=r"data\.binarization=static: the images of data=shapes are computed"):
        load(compose(*words, "data.binarization=static").data, CPU)
    split = load(compose(*words, "data.binarization=threshold").data, CPU).train
    assert set(split.first(20).x.unique().tolist()) == {0, 1}


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_the_mean_is_the_same_to_the_bit(part, dtype):
    images = part.images if dtype == torch.uint8 else part.images / 255
    resident, read = both(replace(part, images=images), torch.arange(1, 103, 2))
    assert torch.equal(resident.mean_image(), read.mean_image())
    torch.testing.assert_close(read.mean_image(), (part.images[1::2] / 255).mean(0))


@pytest.mark.parametrize(
    ("resident", "size", "kept"),
    [("auto", 1, True), ("auto", 1 << 60, False), (True, 1 << 60, True), (False, 1, False)],
)
def test_what_is_resident(resident, size, kept):
    assert is_resident(resident, size, CPU) is kept


def test_a_gpu_gets_pinned_batches(part, monkeypatch):
    """As far as can be seen without one: the buffer is asked for with pinned memory, and only for a GPU."""
    seen, plain = [], torch.empty

    def empty(*size, pin_memory=False, **options):
        seen.append(pin_memory)
        return plain(*size, **options)

    monkeypatch.setattr(torch, "empty", empty)
    for kind in ("cpu", "cuda"):
        Stored(part, torch.device(kind)).fetch(torch.tensor([1, 2]))
    assert seen == [False, True]
