"""data=fashion_mnist, kmnist, cifar10, cifar100: sets that torchvision downloads, checks and reads. torchvision is
imported for them alone: it takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aetrain.config.schema.data import Vision
from aetrain.data.card import Card
from aetrain.data.home import default_root
from aetrain.errors import UserError

if TYPE_CHECKING:
    from aetrain.data.split import Split


class About(NamedTuple):
    cls: str  # in torchvision.datasets
    folder: str  # below the root
    shape: tuple[int, int, int]
    train: int
    test: int
    classes: tuple[str, ...]  # as many images in each


TEN = tuple("0123456789")
CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")
THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SETS = {
    "fashion_mnist": About("FashionMNIST", "FashionMNIST/raw", (1, 28, 28), 60_000, 10_000, CLOTHES),
    "kmnist": About("KMNIST", "KMNIST/raw", (1, 28, 28), 60_000, 10_000, TEN),
    "cifar10": About("CIFAR10", "", (3, 32, 32), 50_000, 10_000, THINGS),
    "cifar100": About("CIFAR100", "", (3, 32, 32), 50_000, 10_000, tuple(map(str, range(100)))),
}


def card(config: Vision) -> Card:
    about = SETS[config.name]
    n = len(about.classes)
    counts = {"train": (about.train // n,) * n, "test": (about.test // n,) * n}
    return Card(about.shape, about.train, about.test, n_classes=n, classes=about.classes, counts=counts)


def load(config: Vision) -> dict[str, Split]:
    """{"train": …, "test": …}: uint8 (N, C, H, W) and int64 (N,)."""
    import torch
    from torchvision import datasets

    from aetrain.data.split import Split

    about, root = SETS[config.name], Path(config.root).expanduser() if config.root else default_root()
    parts = {}
    for part in ("train", "test"):
        try:
            found = getattr(datasets, about.cls)(str(root), train=part == "train", download=True)
        except Exception as error:  # a network has many ways to fail, and so has torchvision with a damaged file
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise UserError(
                f"data={config.name}: torchvision can neither find it nor download it ({reason}); on a machine with a "
                f"network, torchvision.datasets.{about.cls}(root, download=True) makes the files; put them into "
                f"{root / about.folder}, or give data.root=…"
            ) from error
        images = torch.as_tensor(found.data)
        images = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()
        labels = torch.as_tensor(found.targets).long()
        if images.shape != (getattr(about, part), *about.shape) or len(labels) != len(images):
            raise UserError(f"{root / about.folder}: holds {tuple(images.shape)} images for {part}; remove its files")
        parts[part] = Split(images, labels)
    return parts
