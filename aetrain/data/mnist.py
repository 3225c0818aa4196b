"""MNIST, complete, from the files inside the package: no network.

On first use the four IDX files are unpacked into <root>/MNIST/raw, where torchvision finds them too, and checked
against their published sums. Runs that start together may race for it: each unpacks to a name of its own and renames.
"""

from __future__ import annotations

import hashlib
import logging
import lzma
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aetrain.errors import UserError
from aetrain.files import write_atomically

log = logging.getLogger(__name__)

BUNDLE = Path(__file__).parent / "mnist"
MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
_IDX_MAGIC = {3: 0x803, 1: 0x801}  # unsigned bytes in 3 dimensions, in 1


def default_root() -> Path:
    """The user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aetrain"


def load(root: str | None) -> list[tuple[str, Tensor, Tensor]]:
    """[("train", images, labels), ("test", images, labels)]: uint8 (N, 1, 28, 28) and int64 (N,)."""
    folder = (Path(root).expanduser() if root else default_root()) / "MNIST" / "raw"
    parts = []
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images = _read_idx(f"{prefix}-images-idx3-ubyte", folder, dimensions=3)
        labels = _read_idx(f"{prefix}-labels-idx1-ubyte", folder, dimensions=1)
        parts.append((part, torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long()))
    return parts


def _read_idx(name: str, folder: Path, dimensions: int) -> np.ndarray:
    """One IDX file as an array: a header of big-endian words (magic number, sizes), then the bytes."""
    content = _bytes_of(name, folder)
    header = np.frombuffer(content, dtype=">u4", count=1 + dimensions)
    if header[0] != _IDX_MAGIC[dimensions]:
        raise UserError(f"{folder / name}: not an IDX file of {dimensions} dimensions")
    return np.frombuffer(content, dtype=np.uint8, offset=header.nbytes).reshape(header[1:].astype(int)).copy()


def _bytes_of(name: str, folder: Path) -> bytes:
    """The checked content of a file in the cache, unpacked from the package first where it is absent or damaged."""
    path = folder / name
    try:
        content = path.read_bytes()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() == MD5[name]:
            return content
        log.warning("warning: %s was damaged (%d bytes): replaced by the copy inside the package", path, len(content))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); mend it or give another data.root=…") from error
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
        raise UserError(f"{bundled}: partial or corrupt ({error}); install aetrain anew") from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != MD5[name]:
        raise UserError(f"{bundled}: its content is not that of MNIST; install aetrain anew")
    return content
