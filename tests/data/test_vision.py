"""Sets of torchvision: what is read, and what is said without a network."""

import numpy as np
import pytest
import torch

from aetrain.data import vision
from aetrain.data.card import card
from aetrain.data.load import load
from aetrain.errors import UserError
from tests.conftest import compose

CPU = torch.device("cpu")


class Fake:
    def __init__(self, root, train, download):
        n = 200 if train else 100
        self.data = np.random.default_rng(n).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
        self.targets = [i % 10 for i in range(n)]


def test_channels_come_first(monkeypatch):
    from torchvision import datasets

    monkeypatch.setattr(datasets, "CIFAR10", Fake)
    monkeypatch.setitem(vision.SETS, "cifar10", vision.SETS["cifar10"]._replace(train=200, test=100))
    config = compose("data=cifar10", "data.val_size=10", "data.classes=[cat,dog]", "trainer.batch_size=2").data
    splits = load(config, CPU)
    assert card(config).train == 40 and [len(s) for s in (splits.train, splits.val, splits.test)] == [30, 10, 20]
    theirs = Fake("", False, False).data[[3, 5]].transpose(0, 3, 1, 2)
    assert torch.equal(splits.test.images[:2], torch.from_numpy(theirs)) and splits.test.labels[:2].tolist() == [0, 1]


def test_without_a_network_it_is_one_line(monkeypatch):
    from torchvision import datasets

    def unreachable(*_, **__):
        raise RuntimeError("Error downloading\ntrain-images-idx3-ubyte.gz")

    monkeypatch.setattr(datasets, "KMNIST", unreachable)
    with pytest.raises(UserError, match=r"neither find it nor download it .* put them into .*KMNIST/raw") as error:
        load(compose("data=kmnist").data, CPU)
    assert "\n" not in str(error.value)
