"""data=array: images in a .npz or .npy file of numpy's.

(N, H, W), (N, H, W, C) or (N, C, H, W), uint8, booleans, or floats in [0, 1]; labels are whole numbers or words, one
for each image.
"""

from __future__ import annotations

import hashlib
import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aetrain.config.schema.data import Array
from aetrain.data.card import PARTS, Card
from aetrain.data.numpy_files import Header, headers_of, opened, read
from aetrain.errors import UserError

if TYPE_CHECKING:
    from aetrain.data.split import Split

log = logging.getLogger(__name__)

# What arrays are usually called: MedMNIST's, Keras', scikit-learn's and numpy's own names.
USUAL = {
    "train_images": ("train_images", "x_train", "X_train", "images", "x", "X", "imgs", "data", "arr_0"),
    "train_labels": ("train_labels", "y_train", "labels", "y", "label", "targets", "target", "arr_1"),
    "val_images": ("val_images", "x_val", "X_val"),
    "val_labels": ("val_labels", "y_val"),
    "test_images": ("test_images", "x_test", "X_test"),
    "test_labels": ("test_labels", "y_test"),
}
KINDS = "iubU"  # of labels, as numpy calls them: whole numbers, booleans, words


def card(config: Array) -> Card:
    path = Path(config.path)
    headers = headers_of(path)
    names = _names(config, headers)
    shapes = {part: _layout(path, names[part][0], headers[names[part][0]])[0] for part in PARTS if part in names}
    if len(found := set(shapes.values())) > 1:
        raise UserError(f"{path}: its parts hold images of different shapes, {' and '.join(map(str, sorted(found)))}")
    counts, classes = _counts(path, names, headers, asked=bool(config.keys))
    sizes = {part: headers[names[part][0]].shape[0] for part in names}
    dtype = headers[names["train"][0]].dtype
    return Card(
        image_shape=shapes["train"], train=sizes["train"], val=sizes.get("val"), test=sizes.get("test"),
        n_classes=len(classes), classes=classes, counts=counts, is_own=True,
        bytes_per_value=1 if dtype.itemsize == 1 else 4, scale=255.0 if dtype == np.uint8 else 1.0,
    )  # fmt: skip


def load(config: Array) -> dict[str, Split]:
    """uint8 or float32 (N, C, H, W), and int64 (N,)."""
    import torch

    from aetrain.data.split import UNLABELLED, Split

    path = Path(config.path)
    headers = headers_of(path)
    names = _names(config, headers)
    labels, values = _labels(path, names, headers, asked=bool(config.keys))
    if not labels and any(name is not None for _, name in names.values()):
        log.info("%s: labels are left out: %s", path, "; ".join(filter(None, _faults(names, headers).values())))
    parts = {}
    for part, (images_name, _) in names.items():
        images = _images(path, images_name, headers[images_name])
        rank = np.searchsorted(values, labels[part]) if part in labels else np.full(len(images), UNLABELLED)
        parts[part] = Split(torch.from_numpy(images), torch.from_numpy(rank.astype(np.int64)))
    return parts


def content_sum(config: Array) -> str:
    with opened(Path(config.path)) as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


# --- which arrays


def _names(config: Array, headers: dict[str, Header]) -> dict[str, tuple[str, str | None]]:
    """Part -> (name of its images, name of its labels or None)."""
    if bare := [pair for pair in config.keys or () if ":" not in pair]:
        raise UserError(f"data.keys=[{bare[0]}]: say what it is, as in data.keys=[images:{bare[0]}]")
    given = dict(pair.split(":", 1) for pair in config.keys or ())
    wanted = {key if key.partition("_")[0] in PARTS else f"train_{key}": name for key, name in given.items()}
    if unknown := [key for key in wanted if key not in USUAL]:
        raise UserError(
            f"data.keys: '{unknown[0].removeprefix('train_')}' is no part of a data set; name images, labels, or "
            "{train,val,test}_{images,labels}"
        )
    if missing := [name for name in wanted.values() if name not in headers]:
        raise UserError(f"{config.path}: has no array '{missing[0]}', but {_list(headers)}")

    def named(key: str) -> str | None:
        if key in wanted:
            return wanted[key]
        return None if given else next((name for name in USUAL[key] if name in headers), None)

    found = {part: (named(f"{part}_images"), named(f"{part}_labels")) for part in PARTS}
    names = {part: (images, labels) for part, (images, labels) in found.items() if images is not None}
    if "train" not in names:
        raise UserError(
            f"{config.path}: which of its arrays are the images? It holds {_list(headers)}; give "
            f"data.keys=[images:{next(iter(headers), 'name')}]"
        )
    return names


def _list(headers: dict[str, Header]) -> str:
    shown = [f"{name} {header.shape}" for name, header in list(headers.items())[:8]]
    return ", ".join(shown) or "none"


def _layout(path: Path, name: str, header: Header) -> tuple[tuple[int, int, int], bool]:
    """((C, H, W), whether the channels are the last axis)."""
    shape, dtype = header.shape, header.dtype
    if not (dtype in (np.uint8, np.bool_) or dtype.kind == "f"):
        raise UserError(
            f"{path}: '{name}' holds {dtype}; images are uint8, or floats in [0, 1]: divide by the largest value that "
            "a pixel can have, as in (x / 255).astype('float32')"
        )
    if shape[:1] == (0,) or 0 in shape:
        raise UserError(f"{path}: '{name}' of shape {shape} is empty")
    if len(shape) == 3:
        return (1, *shape[1:]), False
    if len(shape) == 4 and shape[1] in (1, 3) and not (shape[3] in (1, 3) and shape[2] > 1):
        return shape[1:], False
    if len(shape) == 4 and shape[3] in (1, 3):
        return (shape[3], shape[1], shape[2]), True
    raise UserError(
        f"{path}: '{name}' has shape {shape}; images are (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels"
    )


# --- labels


def _labels(path: Path, names: dict, headers: dict[str, Header],
            asked: bool) -> tuple[dict[str, np.ndarray], np.ndarray]:  # fmt: skip
    """(part -> labels (N,), their different values, sorted); none unless every part has them. Raises a UserError for
    labels that were asked for and are none."""
    faults = _faults(names, headers)
    if asked and (wrong := [fault for part, fault in faults.items() if fault and names[part][1] is not None]):
        raise UserError(f"{path}: {wrong[0]}; name others in data.keys, or none")
    if any(faults.values()):
        return {}, np.empty(0)
    labels = {part: read(path, name, headers[name]).reshape(-1) for part, (_, name) in names.items()}
    kind = np.str_ if any(found.dtype.kind == "U" for found in labels.values()) else np.int64
    labels = {part: found.astype(kind) for part, found in labels.items()}
    return labels, np.unique(np.concatenate(list(labels.values())))


def _faults(names: dict, headers: dict[str, Header]) -> dict[str, str | None]:
    """Part -> what keeps its labels from being any; None if nothing does."""

    def fault(images: str, name: str | None) -> str | None:
        if name is None:
            return f"'{images}' has none"
        header, n = headers[name], headers[images].shape[0]
        if header.dtype.kind not in KINDS:
            return f"'{name}' holds {header.dtype}, and labels are whole numbers or words"
        if header.shape not in ((n,), (n, 1)):
            return f"'{name}' has shape {header.shape}, and labels are one for each of {n:,} images"
        return None

    return {part: fault(images, name) for part, (images, name) in names.items()}


def _counts(path: Path, names: dict, headers: dict[str, Header],
            asked: bool) -> tuple[dict[str, tuple[int, ...]], tuple[str, ...]]:  # fmt: skip
    labels, values = _labels(path, names, headers, asked)
    counts = {
        part: tuple(np.bincount(np.searchsorted(values, found), minlength=len(values)).tolist())
        for part, found in labels.items()
    }
    return counts, tuple(map(str, values.tolist()))


# --- images


def _images(path: Path, name: str, header: Header) -> np.ndarray:
    """uint8 or float32, (N, C, H, W)."""
    shape, channels_last = _layout(path, name, header)
    images = read(path, name, header)
    images = images.transpose(0, 3, 1, 2) if channels_last else images.reshape(len(images), *shape)
    if images.dtype == np.bool_:
        images = images.view(np.uint8) * np.uint8(255)
    elif images.dtype != np.uint8:
        low, high = float(images.min()), float(images.max())
        if not math.isfinite(low) or not math.isfinite(high):
            bad = ~np.isfinite(images).reshape(len(images), -1).all(1)
            raise UserError(
                f"{path}: '{name}' holds NaN or infinity, in {bad.sum():,} of {len(images):,} images, first in image "
                f"{bad.argmax()}; mend them or leave them out"
            )
        if not 0 <= low <= high <= 1:
            raise UserError(
                f"{path}: '{name}' holds floats from {low:g} to {high:g}; scale them to [0, 1], or save them as uint8"
            )
        images = images.astype(np.float32)
    return np.ascontiguousarray(images)
