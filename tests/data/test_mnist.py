"""The bundled MNIST: complete, checked, repaired, and safe to race for."""

import hashlib
import logging
import multiprocessing
import os
import shutil

import pytest
import torch

from aetrain.config.schema.data import MNIST
from aetrain.data import mnist
from aetrain.data.load import load
from aetrain.errors import UserError
from tests.conftest import compose, irregular, soon


def read(root):
    return mnist.load(MNIST(name="mnist", root=str(root)))


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    root = tmp_path_factory.mktemp("mnist")
    read(root)
    return root


@pytest.fixture
def root(unpacked, tmp_path):
    """A copy, to write into."""
    return shutil.copytree(unpacked, tmp_path / "root")


def raw(root):
    return root / "MNIST" / "raw"


def test_it_is_the_published_mnist(unpacked):
    parts = read(unpacked)
    train, train_labels, test = parts["train"].images, parts["train"].labels, parts["test"].images
    assert train.shape == (60_000, 1, 28, 28) and test.shape == (10_000, 1, 28, 28) and train.dtype == torch.uint8
    assert train_labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    # The mean and standard deviation by which everyone normalises MNIST.
    assert (train / 255).mean().item() == pytest.approx(0.1307, abs=5e-5)
    assert (train / 255).std().item() == pytest.approx(0.3081, abs=5e-5)


def test_torchvision_reads_the_same_folder(unpacked):
    from torchvision.datasets import MNIST

    theirs = MNIST(str(unpacked), train=False, download=False)
    images, labels = (test := read(unpacked)["test"]).images, test.labels
    assert torch.equal(theirs.data, images[:, 0]) and torch.equal(theirs.targets, labels)


@pytest.mark.parametrize("damage", [b"", b"\x00" * 100, None])
def test_a_file_that_is_not_mnists_is_the_users_and_stays(root, damage):
    path = raw(root) / "t10k-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    found = bytes(content) if damage is None else damage
    path.write_bytes(found)
    with pytest.raises(UserError, match="that are not MNIST's; move or delete the file") as error:
        read(root)
    assert str(path) in str(error.value) and path.read_bytes() == found


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_waited_for(root, kind):
    irregular(path := raw(root) / "train-images-idx3-ubyte", kind)
    with (
        soon(),
        pytest.raises(UserError, match=r"\(not a regular file\); move it away, or give") as error,
    ):
        read(root)
    assert str(path) in str(error.value)


def test_a_file_of_any_size_is_refused_at_once(root):
    os.truncate(raw(root) / "train-images-idx3-ubyte", 10**12)
    with soon(), pytest.raises(UserError, match="1,000,000,000,000 bytes that are not MNIST's; move or delete"):
        read(root)


def test_a_damaged_package_is_a_user_error_that_names_the_file(tmp_path, monkeypatch):
    bundle = tmp_path / "bundle"
    shutil.copytree(mnist.BUNDLE, bundle)
    path = bundle / "train-labels-idx1-ubyte.xz"
    path.write_bytes(path.read_bytes()[:1000])
    monkeypatch.setattr(mnist, "BUNDLE", bundle)
    with pytest.raises(UserError, match=r"train-labels-idx1-ubyte\.xz: partial or corrupt"):
        read(tmp_path / "root")


def test_a_file_where_the_folder_should_be_is_a_user_error(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(UserError, match="cannot be read"):
        read(blocker)


def test_a_cache_that_cannot_be_written_costs_a_warning_not_the_data(tmp_path, monkeypatch, caplog):
    def refuse(path, content):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(mnist, "write_atomically", refuse)
    with caplog.at_level(logging.WARNING):
        train = read(tmp_path)["train"].images
    assert len(train) == 60_000 and "Read-only file system" in caplog.text and "data.root" in caplog.text


def _load(root):
    return hashlib.md5(read(root)["train"].images.numpy().tobytes()).hexdigest()


@pytest.mark.longer
def test_processes_may_race_for_the_unpacked_files(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["aetrain.sweeps.launch.preload"])  # torch is imported once for all, as in a sweep
    with context.Pool(3) as pool:
        assert len(set(pool.map(_load, [str(tmp_path)] * 3))) == 1
    assert sorted(p.name for p in raw(tmp_path).iterdir()) == sorted(mnist.MD5)  # no temporary file left


# --- splits


def splits(*overrides):
    return load(compose(*overrides).data, torch.device("cpu"))


def test_splits_are_disjoint_and_the_same_for_every_seed():
    a, b = splits("seed=0"), splits("seed=1")
    assert [len(a.train), len(a.val), len(a.test)] == [50_000, 10_000, 10_000]
    assert torch.equal(a.val.images, b.val.images)
    everything = torch.cat([a.train.labels, a.val.labels]).bincount()
    assert everything.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    train = {image.numpy().tobytes() for image in a.train.images[:5000]}
    assert not any(image.numpy().tobytes() in train for image in a.val.images[:1000])


def test_limit_and_val_size():
    small = splits("data.limit=100", "data.val_size=0", "trainer.batch_size=10")
    assert [len(small.train), len(small.val), len(small.test)] == [100, 0, 100]


def test_the_resident_data_are_uint8():
    assert {split.images.dtype for split in vars(splits("data.limit=10", "trainer.batch_size=1")).values()
            if hasattr(split, "images")} == {torch.uint8}  # fmt: skip


def test_facts_hold_the_mean_image():
    part = splits("data.limit=500")
    torch.testing.assert_close(part.facts().mean_image, (part.train.images / 255).mean(0))


def test_binarization():
    grey = splits("data.limit=2000")
    threshold = splits("data.limit=2000", "data.binarization=threshold")
    assert torch.equal(threshold.train.images, (grey.train.images >= 128) * torch.tensor(255, dtype=torch.uint8))
    static = splits("data.limit=2000", "data.binarization=static")
    assert set(static.test.images.unique().tolist()) == {0, 255}
    # Unbiased: the mean over many pixels is kept, within its standard error.
    p = grey.train.images.double() / 255
    error = (static.train.images.double() / 255 - p).mean().abs()
    assert error < 4 * (p * (1 - p)).mean().sqrt() / p.numel() ** 0.5
    dynamic = splits("data.limit=2000", "data.binarization=dynamic")
    assert torch.equal(dynamic.train.images, grey.train.images) and torch.equal(dynamic.test.images, static.test.images)
