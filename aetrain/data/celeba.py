"""data=celeba: 202,599 faces (Liu et al. 2015), cropped to squares at their centre and reduced to 64x64. torchvision
finds and checks the files and says which split each is in; they are decoded like a folder's."""

from __future__ import annotations

from pathlib import Path

from aetrain.config.schema.data import CelebA, Folder
from aetrain.data import encoded
from aetrain.data.card import Card
from aetrain.data.scan import File, Scan, made
from aetrain.data.vision import opened, root_of
from aetrain.errors import UserError

SIZES = {"train": 162_770, "val": 19_867, "test": 19_962}
SIDE = 64
FOLDER = "celeba"
PARTITION = "list_eval_partition.txt"
FILES = f"img_align_celeba.zip, {PARTITION}, identity_CelebA.txt and list_{{attr,bbox,landmarks_align}}_celeba.txt"
NUMBERS = {"0": "train", "1": "val", "2": "test"}  # in the partition


def card(config: CelebA) -> Card:
    return Card((3, SIDE, SIDE), SIZES["train"], SIZES["test"], n_classes=0, val=SIZES["val"])


def load(config: CelebA):
    """Mapped: {"train": …, "val": …, "test": …}, uint8 (N, 3, 64, 64), unlabelled."""
    return encoded.load(_as_folder(config), look=_scan)


def place(config: CelebA) -> Path:
    return encoded.place(_as_folder(config), look=_scan)


def _as_folder(config: CelebA) -> Folder:
    return Folder(
        name="folder", path=str(root_of(config.root) / FOLDER / "img_align_celeba"), size=str(SIDE), fit="crop",
        channels=3, background="black", label=None, on_corrupt="refuse", follow_links=True, val_size=None,
        test_size=None, limit=None, classes=None, binarization="none", flip=False, shift=0,
    )  # fmt: skip


def _scan(config: Folder) -> Scan:
    folder = Path(config.path)
    root = folder.parent.parent
    opened("celeba", "CelebA", root, FOLDER, FILES, split="all")  # checks the sums, of the partition too
    lines = (folder.parent / PARTITION).read_text(encoding="ascii").split("\n")
    parts = {name: NUMBERS[number] for name, number in map(str.split, filter(None, lines))}
    counts = {part: list(parts.values()).count(part) for part in SIZES}
    if counts != SIZES:
        raise UserError(f"{folder.parent / PARTITION}: names {counts} images, not {SIZES}; remove it")
    files = []
    for name in sorted(parts):
        try:
            about = (folder / name).stat()
        except OSError as error:
            raise UserError(
                f"{folder / name}: {error.strerror}; unpack img_align_celeba.zip again into {folder.parent}"
            ) from error
        files.append(File(name, str((folder / name).resolve()), about.st_size, about.st_mtime_ns))
    return made(files, [parts[file.name] for file in files], None)
