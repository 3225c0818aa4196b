"""data=fashion_mnist, kmnist, cifar10, cifar100, celeba: sets that torchvision downloads, checks and reads. torchvision
is imported for them alone: it takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from aetrain.config.schema.data import Vision
from aetrain.data.card import Card
from aetrain.data.home import default_root
from aetrain.errors import UserError

if TYPE_CHECKING:
    from aetrain.data.split import Split


class About(NamedTuple):
    cls: str  # in torchvision.datasets
    folder: str  # below the root
    files: str  # what belongs there
    shape: tuple[int, int, int]
    train: int
    test: int
    classes: tuple[str, ...]  # as many images in each


TEN = tuple("0123456789")
CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot")
THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IDX = "{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz"
SETS = {
    "fashion_mnist": About("FashionMNIST", "FashionMNIST/raw", IDX, (1, 28, 28), 60_000, 10_000, CLOTHES),
    "kmnist": About("KMNIST", "KMNIST/raw", IDX, (1, 28, 28), 60_000, 10_000, TEN),
    "cifar10": About("CIFAR10", "", "cifar-10-python.tar.gz", (3, 32, 32), 50_000, 10_000, THINGS),
    "cifar100": About("CIFAR100", "", "cifar-100-python.tar.gz", (3, 32, 32), 50_000, 10_000,
                      tuple(map(str, range(100)))),
}  # fmt: skip


def card(config: Vision) -> Card:
    about = SETS[config.name]
    n = len(about.classes)
    counts = {"train": (about.train // n,) * n, "test": (about.test // n,) * n}
    return Card(about.shape, about.train, about.test, n_classes=n, classes=about.classes, counts=counts)


def load(config: Vision) -> dict[str, Split]:
    """{"train": …, "test": …}: uint8 (N, C, H, W) and int64 (N,)."""
    import torch

    from aetrain.data.split import Split

    about, root = SETS[config.name], root_of(config.root)
    parts = {}
    for part in ("train", "test"):
        found = opened(config.name, about.cls, root, about.folder, about.files, train=part == "train")
        images = torch.as_tensor(found.data)
        images = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()
        labels = torch.as_tensor(found.targets).long()
        if images.shape != (getattr(about, part), *about.shape) or len(labels) != len(images):
            raise UserError(f"{root / about.folder}: holds {tuple(images.shape)} images for {part}; remove its files")
        parts[part] = Split(images, labels)
    return parts


def root_of(given: str | None) -> Path:
    """Where the files of torchvision's sets are."""
    return Path(given).expanduser() if given else default_root()


def opened(name: str, cls: str, root: Path, folder: str, files: str, **options: Any) -> Any:
    """torchvision's own data set, downloaded where it is not there. Raises a UserError that says which files belong
    where."""
    from torchvision import datasets

    try:
        return getattr(datasets, cls)(str(root), download=True, **options)
    except Exception as error:  # a network has many ways to fail, and so has torchvision with a damaged file
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(
            f"data={name}: torchvision finds no whole set in {root / folder} and cannot download it ({reason}); put "
            f"{files} there, as torchvision.datasets.{cls}(root, download=True) makes them where there is a network, "
            "or give another data.root=…"
        ) from error
