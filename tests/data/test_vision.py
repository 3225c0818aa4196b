"""Sets of torchvision: small files in the sets' own formats, with other sums; and what is said without a network."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import urllib.error
import urllib.request

import numpy as np
import pytest
import torch
from PIL import Image

from aetrain.data import celeba, encoded, vision
from aetrain.data.card import card
from aetrain.data.load import load
from aetrain.errors import UserError
from tests.conftest import compose

CPU = torch.device("cpu")
datasets = pytest.importorskip("torchvision.datasets")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def unreachable(*_, **__):
        raise urllib.error.URLError("no network\nhere")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def pixels(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


def write_cifar(root, monkeypatch, cls="CIFAR10", key=b"labels"):
    """Two batches of 20 and one of 10, as the tar file holds them; returns the arrays, (N, 3, 32, 32), and labels."""
    theirs, arrays, labels = getattr(datasets, cls), {}, {}
    names = {"train": ["data_batch_1", "data_batch_2"], "test": ["test_batch"]}
    sums = {"train": [], "test": []}
    folder = root / theirs.base_folder
    folder.mkdir(parents=True)
    for part, files in names.items():
        arrays[part] = [pixels(i, 20 if part == "train" else 10, 3072) for i in range(len(files))]
        labels[part] = [[i % 10 for i in range(len(array))] for array in arrays[part]]
        for name, array, label in zip(files, arrays[part], labels[part], strict=True):
            content = pickle.dumps({"data": array, key.decode(): label})
            (folder / name).write_bytes(content)
            sums[part].append([name, md5(content)])
    meta = pickle.dumps({theirs.meta["key"]: ["x"] * 10})
    (folder / "meta").write_bytes(meta)
    monkeypatch.setattr(theirs, "train_list", sums["train"])
    monkeypatch.setattr(theirs, "test_list", sums["test"])
    monkeypatch.setattr(theirs, "meta", theirs.meta | {"filename": "meta", "md5": md5(meta)})
    return {part: np.concatenate(found).reshape(-1, 3, 32, 32) for part, found in arrays.items()}, labels


@pytest.mark.parametrize(("name", "key"), [("cifar10", b"labels"), ("cifar100", b"fine_labels")])
def test_cifar(tmp_path, monkeypatch, name, key):
    arrays, _ = write_cifar(tmp_path, monkeypatch, name.upper(), key)
    about = vision.SETS[name]._replace(train=40, test=10, classes=vision.THINGS)
    monkeypatch.setitem(vision.SETS, name, about)
    words = (f"data={name}", f"data.root={tmp_path}", "data.val_size=4", "trainer.batch_size=2")
    splits = load(compose(*words).data, CPU)
    assert [len(s) for s in (splits.train, splits.val, splits.test)] == [36, 4, 10]
    assert torch.equal(splits.test.images, torch.from_numpy(arrays["test"]))
    assert splits.test.labels.tolist() == list(range(10))
    some = compose(*words, "data.classes=[cat,dog]").data
    splits = load(some, CPU)
    assert card(some).train == 8 and splits.test.labels.tolist() == [0, 1]
    assert torch.equal(splits.test.images, torch.from_numpy(arrays["test"][[3, 5]]))


def test_a_file_with_another_sum_is_never_unpickled(tmp_path, monkeypatch):
    write_cifar(tmp_path, monkeypatch)
    (tmp_path / datasets.CIFAR10.base_folder / "data_batch_2").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError, match=r"put cifar-10-python\.tar\.gz there"):
        load(compose("data=cifar10", f"data.root={tmp_path}").data, CPU)
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:  # the archive, too, has a sum
        content = pickle.dumps(Bomb())
        about = tarfile.TarInfo(f"{datasets.CIFAR10.base_folder}/data_batch_2")
        about.size = len(content)
        archive.addfile(about, io.BytesIO(content))
    with pytest.raises(UserError, match=r"put cifar-10-python\.tar\.gz there"):
        load(compose("data=cifar10", f"data.root={tmp_path}").data, CPU)


@pytest.mark.parametrize(("name", "cls"), [("fashion_mnist", "FashionMNIST"), ("kmnist", "KMNIST")])
def test_idx_files_as_they_are_downloaded(tmp_path, monkeypatch, name, cls):
    theirs, resources = getattr(datasets, cls), []
    folder = tmp_path / cls / "raw"
    folder.mkdir(parents=True)
    images = {"train": pixels(0, 30, 28, 28), "t10k": pixels(1, 20, 28, 28)}
    for part, found in images.items():
        labels = (np.arange(len(found)) % 10).astype(np.uint8)
        for kind, array in ((f"{part}-images-idx3", found), (f"{part}-labels-idx1", labels)):
            header = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape)
            content = gzip.compress(header + array.tobytes())
            (folder / f"{kind}-ubyte.gz").write_bytes(content)
            resources.append((f"{kind}-ubyte.gz", md5(content)))
    monkeypatch.setattr(theirs, "resources", resources)
    monkeypatch.setitem(vision.SETS, name, vision.SETS[name]._replace(train=30, test=20))
    words = (f"data={name}", f"data.root={tmp_path}", "data.val_size=4", "trainer.batch_size=2")
    splits = load(compose(*words).data, CPU)
    assert torch.equal(splits.test.images[:, 0], torch.from_numpy(images["t10k"])) and len(splits.train) == 26


@pytest.fixture
def faces(tmp_path, monkeypatch):
    """18 faces in CelebA's own layout, tables and splits."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(encoded, "_found", {})
    folder = tmp_path / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{i:06}.jpg" for i in range(1, 19)]
    for i, name in enumerate(names):
        shade = np.full((218, 178, 3), 10 * i, np.uint8)
        shade[:20] = shade[-20:] = 255  # what is cut off
        Image.fromarray(shade).save(folder / "img_align_celeba" / name, quality=95)

    def table(head, values):
        return "".join(f"{line}\n" for line in [*head, *(f"{name}  {values(i)}" for i, name in enumerate(names))])

    tables = {
        "list_eval_partition.txt": table([], lambda i: 0 if i < 10 else 1 if i < 14 else 2),
        "identity_CelebA.txt": table([], lambda i: i),
        "list_attr_celeba.txt": table(["18", "Bald Young"], lambda i: f"{(-1) ** i} 1"),
        "list_bbox_celeba.txt": table(["18", "image_id x_1 y_1 width height"], lambda i: "1 2 3 4"),
        "list_landmarks_align_celeba.txt": table(["18", "lefteye_x lefteye_y"], lambda i: "1 2"),
    }
    sums = [("", "", "img_align_celeba.zip")]
    for name, text in tables.items():
        (folder / name).write_text(text)
        sums.append(("", md5(text.encode()), name))
    monkeypatch.setattr(datasets.CelebA, "file_list", sums)
    monkeypatch.setattr(celeba, "SIZES", {"train": 10, "val": 4, "test": 4})
    return tmp_path


def test_celeba(faces):
    config = compose("data=celeba", f"data.root={faces}", "trainer.batch_size=2").data
    splits = load(config, CPU)
    assert [len(s) for s in (splits.train, splits.val, splits.test)] == [10, 4, 4]
    assert splits.train.image_shape == card(config).image_shape == (3, 64, 64)
    shades = splits.test.images.float().mean((1, 2, 3))
    torch.testing.assert_close(shades, torch.tensor([140.0, 150, 160, 170]), atol=1, rtol=0)
    assert splits.test.images[0].float().std() < 3 and splits.val.names(torch.tensor([0])) == ["000011.jpg"]
    (faces / "celeba" / "img_align_celeba" / "000003.jpg").unlink()
    encoded._found.clear()
    with pytest.raises(UserError, match=r"000003\.jpg: No such file.*unpack img_align_celeba\.zip"):
        load(config, CPU)


def test_a_table_of_celeba_with_another_sum(faces):
    (faces / "celeba" / "list_eval_partition.txt").write_text("000001.jpg 0\n")
    with pytest.raises(UserError, match=r"put img_align_celeba\.zip, list_eval_partition\.txt.* there") as error:
        load(compose("data=celeba", f"data.root={faces}", "trainer.batch_size=2").data, CPU)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [*vision.SETS, "celeba"])
def test_without_a_network_it_is_one_line(aetrain, name):
    code, _out, err = aetrain(f"data={name}", "data.root=sets", "device=cpu")
    assert code == 2 and err.count("\n") == 1 and "torchvision finds no whole set in " in err
    assert "there, as torchvision.datasets." in err and "data.root=" in err
