"""MNIST, complete, from the files inside the package: no network.

On first use the four IDX files are unpacked into <root>/MNIST/raw, where torchvision finds them too, and checked
against their published sums. Runs that start together may race for it: each unpacks to a name of its own and renames.
A file there that is not MNIST's is the user's and stays.
"""

from __future__ import annotations

import hashlib
import logging
import lzma
import os
from pathlib import Path
from typing import TYPE_CHECKING

from aetrain.config.schema.data import MNIST
from aetrain.data.card import Card
from aetrain.data.home import default_root
from aetrain.errors import UserError
from aetrain.files import opened_regular, write_atomically

if TYPE_CHECKING:
    import numpy as np

    from aetrain.data.split import Split

log = logging.getLogger(__name__)

BUNDLE = Path(__file__).parent / "mnist"
MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
LARGEST = 16 + 60_000 * 28 * 28  # bytes of a file
_IDX_MAGIC = {3: 0x803, 1: 0x801}  # unsigned bytes in 3 dimensions, in 1


# Images of each digit.
COUNTS = {
    "train": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    "test": (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
}


def card(config: MNIST) -> Card:
    return Card((1, 28, 28), 60_000, 10_000, n_classes=10, classes=tuple("0123456789"), counts=COUNTS)


def load(config: MNIST) -> dict[str, Split]:
    """{"train": …, "test": …}: uint8 (N, 1, 28, 28) and int64 (N,)."""
    import torch  # here, because the card needs none

    from aetrain.data.split import Split

    folder = (Path(config.root).expanduser() if config.root else default_root()) / "MNIST" / "raw"
    parts = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images = _read_idx(f"{prefix}-images-idx3-ubyte", folder, dimensions=3)
        labels = _read_idx(f"{prefix}-labels-idx1-ubyte", folder, dimensions=1)
        parts[part] = Split(torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long())
    return parts


def _read_idx(name: str, folder: Path, dimensions: int) -> np.ndarray:
    """One IDX file as an array: a header of big-endian words (magic number, sizes), then the bytes."""
    import numpy as np

    content = _bytes_of(name, folder)
    header = np.frombuffer(content, dtype=">u4", count=1 + dimensions)
    if header[0] != _IDX_MAGIC[dimensions]:
        raise UserError(f"{folder / name}: not an IDX file of {dimensions} dimensions")
    return np.frombuffer(content, dtype=np.uint8, offset=header.nbytes).reshape(header[1:].astype(int)).copy()


def _bytes_of(name: str, folder: Path) -> bytes:
    """The checked content of a file in the cache, unpacked from the package first where it is absent."""
    path = folder / name
    try:
        with opened_regular(path, follow=True) as file:
            size, content = os.fstat(file.fileno()).st_size, file.read(LARGEST + 1)
        if hashlib.md5(content, usedforsecurity=False).hexdigest() == MD5[name]:
            return content
        raise UserError(
            f"{path}: {size:,} bytes that are not MNIST's; move or delete the file to have it unpacked again, "
            "or give another data.root=…"
        )
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); move it away, or give another data.root=…"
        ) from error
    content = _unpack(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:  # a read-only cache costs the next run half a second, not this one its data
        log.warning(
            "warning: %s cannot be written (%s): unpacked in memory; data.root=… chooses a folder", path, error.strerror
        )
    return content


def _unpack(name: str) -> bytes:
    bundled = BUNDLE / f"{name}.xz"
    try:
        content = lzma.decompress(bundled.read_bytes())
    except (OSError, lzma.LZMAError) as error:
        raise UserError(f"{bundled}: partial or corrupt ({error}); reinstall aetrain") from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != MD5[name]:
        raise UserError(f"{bundled}: its content is not that of MNIST; reinstall aetrain")
    return content
