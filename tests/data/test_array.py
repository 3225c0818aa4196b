"""data=array: every layout says the same, other people's keys are known, and nothing in a file runs."""

import io
import itertools
import json
import random
import zipfile

import numpy as np
import pytest
import torch

from aetrain.config import stored
from aetrain.config.schema.data import Array
from aetrain.config.tree import plain
from aetrain.data import array, mnist, numpy_files
from aetrain.data.card import card, content_sum, sizes
from aetrain.data.load import load
from aetrain.data.split import UNLABELLED
from aetrain.errors import UserError
from tests.conftest import SMALL, compose, irregular, soon
from tests.data.test_mnist import read

CPU = torch.device("cpu")


def config(path, **values):
    defaults = {"val_size": None, "test_size": None, "limit": None, "classes": None, "binarization": "none",
                "keys": None}  # fmt: skip
    return Array(name="array", path=str(path), **(defaults | values))


def grey(n=50, height=8, width=10, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, height, width), dtype=np.uint8)


@pytest.mark.parametrize("layout", ["NHW", "NHWC", "NCHW", "fortran", "floats", "bool"])
def test_every_layout_gives_the_same_images(tmp_path, layout):
    images = grey()
    wanted = images[:, None]
    if layout == "bool":
        images, wanted = images > 100, ((images > 100) * np.uint8(255))[:, None]
    saved = {
        "NHW": images, "NHWC": images[..., None], "NCHW": images[:, None], "fortran": np.asfortranarray(images),
        "floats": (images / 255).astype(np.float64), "bool": images,
    }[layout]  # fmt: skip
    np.save(tmp_path / "a.npy", saved)
    np.savez_compressed(tmp_path / "a.npz", images=saved)
    for name in ("a.npy", "a.npz"):
        known = card(config(tmp_path / name))
        (part,) = array.load(config(tmp_path / name)).values()
        assert known.image_shape == part.image_shape == (1, 8, 10) and known.train == len(part) == 50
        assert known.bytes_per_value == part.images.element_size()
        got = part.images if part.images.dtype == torch.uint8 else (part.images * 255).round().to(torch.uint8)
        assert torch.equal(got, torch.from_numpy(wanted))


def test_colour_in_both_layouts(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 9, 3), dtype=np.uint8)
    np.save(tmp_path / "last.npy", images)
    np.save(tmp_path / "first.npy", images.transpose(0, 3, 1, 2))
    (last,), (first,) = (array.load(config(tmp_path / f"{name}.npy")).values() for name in ("last", "first"))
    assert last.image_shape == (3, 8, 9) and torch.equal(last.images, first.images)


def test_medmnists_keys(tmp_path):
    sizes_of = {"train": 30, "val": 7, "test": 11}
    arrays = {}
    for i, (part, n) in enumerate(sizes_of.items()):
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = grey(n, seed=i), (np.arange(n) % 3)[:, None]
    np.savez(tmp_path / "bloodmnist.npz", **arrays)
    given = config(tmp_path / "bloodmnist.npz")
    assert sizes(given) == (30, 7, 11) and card(given).classes == ("0", "1", "2")
    splits = load(given, CPU)
    assert torch.equal(splits.val.images, torch.from_numpy(arrays["val_images"])[:, None])
    assert splits.test.labels.tolist() == (np.arange(11) % 3).tolist() and splits.n_classes == 3
    few = config(tmp_path / "bloodmnist.npz", classes=["2", "0"])
    splits = load(few, CPU)
    assert sizes(few) == (len(splits.train), len(splits.val), len(splits.test)) == (20, 5, 7)
    kept = [i for i in range(11) if i % 3 != 1]
    assert torch.equal(splits.test.images, torch.from_numpy(arrays["test_images"][kept])[:, None])
    assert splits.test.labels.tolist() == [{2: 0, 0: 1}[i % 3] for i in kept]
    with pytest.raises(UserError, match="have a validation split of their own"):
        sizes(config(tmp_path / "bloodmnist.npz", val_size=5))


def test_ones_own_splits_are_disjoint_and_the_same_each_time(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(200, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2))
    splits = load(config(tmp_path / "a.npy"), CPU)
    found = [split.images[:, 0, 0, 0].tolist() for split in (splits.train, splits.val, splits.test)]
    assert [len(part) for part in found] == [160, 20, 20] and sorted(itertools.chain(*found)) == list(range(200))
    assert all(part == sorted(part) for part in found)
    again = load(config(tmp_path / "a.npy", val_size=5, test_size=0.1), CPU)
    assert torch.equal(again.test.images, splits.test.images) and len(again.val) == 5
    assert len(load(config(tmp_path / "a.npy", val_size=0, test_size=3), CPU).train) == 197


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"images": np.array([{}, []], dtype=object)}, "pickle"),
        ({"images": grey().astype(np.int32)}, "holds int32"),
        ({"images": grey() / 2.0}, r"floats from 0 to 127\.5"),
        ({"images": np.full((3, 8, 8), np.nan)}, "NaN or infinity, in 3 of 3 images"),
        ({"images": grey()[0]}, r"has shape \(8, 10\)"),
        ({"images": np.zeros((5, 8, 8, 4), np.uint8)}, "1 or 3 channels"),
        ({"images": grey()[:0]}, "empty"),
        ({"pixels": grey()}, r"data\.keys=\[images:pixels\]"),
        ({"train_images": grey(), "test_images": grey(height=9)}, "different shapes"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path, arrays, told):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=told) as error:
        card(config(tmp_path / "a.npz"))
        array.load(config(tmp_path / "a.npz"))
    assert "\n" not in str(error.value)


def test_damage_is_one_line(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", images=grey(2000))
    whole = (tmp_path / "a.npz").read_bytes()
    rng = np.random.default_rng(0)
    for i in range(60):
        content = bytearray(whole)
        for place in rng.integers(0, len(whole), 20):
            content[place] ^= 255
        (tmp_path / "b.npz").write_bytes(bytes(content) if i % 2 else whole[: rng.integers(0, len(whole))])
        with pytest.raises(UserError):
            array.load(config(tmp_path / "b.npz"))


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': (((", "{'descr':\n    1,\n  2}", "{[]: 1}", "{1: 2, 'descr': 3}", "(" * 5000,
        "{'descr': (), 'fortran_order': False, 'shape': (5, 8, 8)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-5, 8, 8)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999, 8, 8)}",
    ],
)  # fmt: skip
def test_a_header_that_is_none_is_one_line(tmp_path, header):
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    (tmp_path / "a.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", content)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(UserError, match=name) as error:
            array.load(config(tmp_path / name))
        assert "\n" not in str(error.value)


def test_whatever_is_in_a_header_only_a_line_comes_out(tmp_path):
    np.save(tmp_path / "a.npy", grey(5))
    np.savez_compressed(tmp_path / "a.npz", images=grey(5), labels=np.arange(5))
    rng, pieces = random.Random(0), [b"((((", b"9" * 20, b"-1", b"()", b"{}", b"'O'", b"None", b"\n  ", b"\\", b"'V0'"]
    refused = 0
    for i in range(600):
        is_npy = i % 2 == 0
        content = bytearray((tmp_path / ("a.npy" if is_npy else "a.npz")).read_bytes())
        for _ in range(rng.choice([1, 1, 2, 5])):
            place = rng.randrange(6, 128 if is_npy else len(content))
            content[place] = rng.choice([content[place] ^ 1 << rng.randrange(8), rng.randrange(256)])
            if is_npy and rng.random() < 0.5:
                piece = rng.choice(pieces)
                content[place : place + len(piece)] = piece
        (tmp_path / "b").write_bytes(content)
        for function in (card, array.load):
            try:
                function(config(tmp_path / "b"))
            except UserError as error:
                assert "\n" not in str(error)
                refused += 1
    assert refused > 600


def test_a_file_that_changes_after_its_header_was_read_is_told(tmp_path):
    for name, save in (("a.npy", np.save), ("a.npz", lambda path, images: np.savez(path, images=images))):
        save(tmp_path / name, grey(9))
        before = numpy_files.headers_of(tmp_path / name)
        save(tmp_path / name, grey(5))
        with pytest.raises(UserError, match="it has changed since"):
            numpy_files.read(tmp_path / name, "images", before["images"])


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_waited_for(tmp_path, kind):
    irregular(path := tmp_path / "a.npy", kind)
    for function in (card, array.load, content_sum):
        with soon(), pytest.raises(UserError, match=r"a\.npy: cannot be read \(not a regular file\)$"):
            function(config(path))


def test_more_than_fits_is_refused_before_it_is_read(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (2**20, 2**12, 2**12)}
    )
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", header.getvalue())
    with pytest.raises(UserError, match="does not fit into memory"):
        array.load(config(tmp_path / "a.npz"))


def test_arrays_of_any_name(tmp_path):
    np.savez(tmp_path / "a.npz", foo=grey(), bar=np.arange(50) % 2)
    words = ("data=array", f"data.path={tmp_path / 'a.npz'}", "data.keys=[images:foo,labels:bar]", "data.classes=[1]")
    composed = compose(*words, "trainer.batch_size=4")
    assert stored.build(plain(composed), "here") == composed
    assert torch.equal(load(composed.data, CPU).test.labels, torch.zeros(2, dtype=torch.int64))


def test_the_content_sum_is_of_the_content(tmp_path):
    np.save(tmp_path / "a.npy", grey())
    (tmp_path / "b.npy").write_bytes((tmp_path / "a.npy").read_bytes())
    np.save(tmp_path / "c.npy", grey(seed=1))
    a, b, c = (content_sum(config(tmp_path / f"{name}.npy")) for name in "abc")
    assert a == b != c


def test_mnist_as_an_array_is_mnist(aetrain, tmp_path, monkeypatch):
    parts = read(tmp_path)
    arrays = {f"{part}_images": split.images[:, 0].numpy() for part, split in parts.items()}
    np.savez(tmp_path / "mnist.npz", **arrays, **{f"{part}_labels": s.labels.numpy() for part, s in parts.items()})
    monkeypatch.setattr(mnist, "load", lambda config: parts)
    losses = []
    for words in (["data=mnist"], ["data=array", f"data.path={tmp_path / 'mnist.npz'}", "data.val_size=10000"]):
        code, _out, err = aetrain(*SMALL, *words, f"hydra.run.dir={words[0][5:]}")
        assert code == 0, err
        losses.append(json.loads((aetrain.folder / words[0][5:] / "result.json").read_text())["metrics"])
    assert losses[0] == losses[1]


def test_a_small_array_trains_without_a_further_key(aetrain, tmp_path):
    np.save(tmp_path / "a.npy", grey(60))
    code, out, err = aetrain("data=array", f"data.path={tmp_path / 'a.npy'}", "trainer.epochs=2", "hydra.run.dir=run",
                             "device=cpu")  # fmt: skip
    assert code == 0, err
    assert "the training split has 48 images, and a batch takes them all" in out
    code, _out, err = aetrain("data=array", "data.path=nowhere.npy")
    assert code == 2 and "nowhere.npy: there is no such file" in err and err.count("\n") == 1


def test_labels_may_be_words(tmp_path):
    words = np.array(["dog", "a cat", "dog", "ant"] * 5)
    np.savez(tmp_path / "a.npz", x=grey(20), y=words)
    given = config(tmp_path / "a.npz")
    assert card(given).classes == ("a cat", "ant", "dog")
    train = load(given, CPU).train
    kept = [i for i in range(20) for x in train.images if np.array_equal(x[0], grey(20)[i])]
    assert sorted(np.array(card(given).classes)[train.labels.numpy()]) == sorted(words[kept])


@pytest.mark.parametrize(
    ("labels", "keys", "told"),
    [
        (
            np.arange(19) % 2,
            ["images:x", "labels:y"],
            r"'y' has shape \(19,\), and labels are one for each of 20 images; ",
        ),
        (np.arange(40).reshape(20, 2), None, None),
        (np.arange(40).reshape(20, 2), ["images:x", "labels:y"], r"'y' has shape \(20, 2\)"),
        (np.linspace(0, 1, 20), ["images:x", "labels:y"], "'y' holds float64, and labels are whole numbers or words"),
        (np.linspace(0, 1, 20), None, None),
        (np.arange(19) % 2, ["images:x"], None),
    ],
)
def test_labels_that_are_none_are_not_dropped_without_a_word(tmp_path, caplog, labels, keys, told):
    np.savez(tmp_path / "a.npz", x=grey(20), y=labels)
    given = config(tmp_path / "a.npz", keys=keys)
    if told:
        with pytest.raises(UserError, match=told):
            card(given)
        return
    with caplog.at_level("INFO"):
        assert (load(given, CPU).train.labels == UNLABELLED).all()
    assert ("labels are left out: 'y' h" in caplog.text) == (keys is None)


def test_of_floats_that_are_no_numbers_the_first_image_is_named(tmp_path):
    images = np.full((9, 4, 4), 0.5, np.float32)
    images[3, 1, 1], images[7] = np.nan, np.inf
    np.savez(tmp_path / "a.npz", x=images)
    with pytest.raises(UserError, match="holds NaN or infinity, in 2 of 9 images, first in image 3; "):
        load(config(tmp_path / "a.npz"), CPU)


def test_a_path_with_any_space_can_be_taken_up_again(aetrain, tmp_path):
    """Ideographic, not to be broken, and the joiner of emoji."""
    folder = tmp_path / "写真\u3000a\u00a0b 👩\u200d🎨"
    folder.mkdir()
    np.save(folder / "a.npy", grey(60))
    line = ["data=array", f'data.path="{folder / "a.npy"}"', "trainer.epochs=1", "net.hidden=[8]", "device=cpu"]
    for words in (
        [*line, "hydra.run.dir=run"],
        ["resume=run", "trainer.epochs=2"],
        ["evaluate", "run=run", "codes=false"],
    ):
        code, _out, err = aetrain(*words)
        assert code == 0, err
