"""Sets of encoded images, in files or in tables: what their cards say, and how they are decoded, once.

Where the images are: a Scan, of scan.py or table.py. What becomes of one: decode.py; of all: decoding.py. What is kept
of them: cache.py.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aetrain.config.schema.data import Encoded
from aetrain.console import CountBar
from aetrain.data import cache, decoding
from aetrain.data.card import Card
from aetrain.data.decode import Header, Spec, Unreadable, be_strict, colour, header
from aetrain.data.scan import Scan
from aetrain.errors import UserError

if TYPE_CHECKING:
    from aetrain.data.lazy import Lazy

log = logging.getLogger(__name__)

LARGEST_SIDE = 4096
HEADERS_AT_ONCE = 256
ESCAPED = ("utf-8", "surrogateescape")  # names of files and folders are bytes of any kind


@dataclass(frozen=True)
class _Found:
    """A source as it was when it was last looked at."""

    scan: Scan
    stamp: str
    place: Path
    at: float  # time


FRESH_SECONDS = 10  # what was seen so lately is not looked at again for loading: a command has just checked its sizes
_found: dict[str, _Found] = {}  # by configuration: asking for a card again does not look again at all


Look = Callable[[Any], Scan]  # of a configuration


def card(config: Encoded, look: Look) -> Card:
    """From the cache where it is whole, else from the images' headers: the sizes are then those of all images, of which
    some may turn out to be damaged."""
    found = _look(config, look, again=False)
    held = cache.entry(found.place)
    if held and held.stamp == found.stamp:
        _check_damaged(config, held, found)
        shape, dtype, scale = held.shape, np.dtype(held.dtype), held.scale
    else:
        held, spec = None, _plan(config, found)
        shape, dtype, scale = spec.shape, spec.dtype, spec.scale
    parts = _kept(found.scan, held)
    labels, classes = found.scan.labels, found.scan.classes
    counts = {}
    if labels is not None:
        counts = {
            part: tuple(np.bincount(labels[rows], minlength=len(classes)).tolist()) for part, rows in parts.items()
        }
    return Card(
        image_shape=shape, train=len(parts["train"]) if "train" in parts else 0, is_own=True,
        val=len(parts["val"]) if "val" in parts else None, test=len(parts["test"]) if "test" in parts else None,
        n_classes=len(classes), classes=classes, counts=counts, bytes_per_value=dtype.itemsize,
        scale=scale, is_sorted=found.scan.is_sorted,
    )  # fmt: skip


def load(config: Encoded, look: Look) -> dict[str, Lazy]:
    """Mapped: uint8 or float32 (N, C, H, W), and int64 (N,)."""
    import torch

    from aetrain.data.lazy import Lazy, Stored
    from aetrain.data.split import UNLABELLED, Split

    found, held = _decoded(config, look)
    _check_damaged(config, held, found)
    images, names = torch.from_numpy(cache.mapped(found.place, held)), [file.name for file in found.scan.files]
    labels = found.scan.labels
    if labels is None:
        labels = np.full(len(names), UNLABELLED)
    whole = Stored(Split(images, torch.from_numpy(labels.astype(np.int64)), None, names), torch.device("cpu"))
    _say(config, found, held)
    return {part: Lazy(whole, torch.from_numpy(rows)) for part, rows in _kept(found.scan, held).items()}


def place(config: Encoded, look: Look) -> Path:
    """The folder in the cache that holds the decoded images, and what is computed from them."""
    return _look(config, look, again=False).place


def content_sum(config: Encoded, look: Look) -> str:
    """Over pixels, names, splits and labels. Decodes what is not in the cache."""
    found, held = _decoded(config, look)
    total = hashlib.blake2b(held.sum.encode(), digest_size=8)
    kept = _kept(found.scan, held)
    total.update("\n".join(file.name for file in found.scan.files).encode(*ESCAPED))
    for part, rows in kept.items():
        total.update(part.encode() + rows.tobytes())
    if found.scan.labels is not None:
        total.update(found.scan.labels.astype(np.int64).tobytes() + "\n".join(found.scan.classes).encode(*ESCAPED))
    return total.hexdigest()


# --- looking


def _look(config: Encoded, look: Look, again: bool) -> _Found:
    key = repr(config)
    if key not in _found or (again and time.monotonic() - _found[key].at > FRESH_SECONDS):
        seen, root = look(config), Path(config.path).resolve()
        options = [config.size, config.fit, config.channels, config.background, *seen.options]
        _found[key] = _Found(seen, seen.stamp(), cache.place_of(root, options), time.monotonic())
    return _found[key]


def _decoded(config: Encoded, look: Look) -> tuple[_Found, cache.Entry]:
    found = _look(config, look, again=True)
    plan = functools.partial(_plan, config, found)
    return found, decoding.ensure(found.place, found.stamp, found.scan, plan, Path(config.path))


def _kept(seen: Scan, held: cache.Entry | None) -> dict[str, np.ndarray]:
    """The rows of each part, without those of damaged files."""
    damaged = np.array([number for number, _, _ in held.damaged] if held else [], dtype=np.int64)
    return {part: rows[~np.isin(rows, damaged)] for part, rows in seen.parts.items()} if len(damaged) else seen.parts


def _check_damaged(config: Encoded, held: cache.Entry, found: _Found) -> None:
    count = len(held.damaged)
    if count and (config.on_corrupt == "refuse" or count == held.n):
        shown = ", ".join(f"{name} ({reason})" for _, name, reason in held.damaged[:5])
        more = f" and {count - 5:,} more, all named in {found.place / 'damaged.txt'}" if count > 5 else ""
        mend = "mend or remove them" + (", or leave them out with data.on_corrupt=skip" if count < held.n else "")
        raise UserError(
            f"{config.path}: {count:,} of {held.n:,} {found.scan.what} cannot be decoded: {shown}{more}; {mend}"
        )


def _say(config: Encoded, found: _Found, held: cache.Entry) -> None:
    if held.damaged:
        shown = ", ".join(f"{name} ({reason})" for _, name, reason in held.damaged[:5])
        log.info(
            "data.on_corrupt=skip: %d of %d %s are left out: %s%s; all are named in %s", len(held.damaged), held.n,
            found.scan.what, shown, ", …" if len(held.damaged) > 5 else "", found.place / "damaged.txt",
        )  # fmt: skip
    if found.scan.left_out:
        log.info("%s: %d images that metadata.csv does not name are left out", config.path, found.scan.left_out)


# --- planning


_plans: dict[tuple[Path, str], Spec] = {}


def _plan(config: Encoded, found: _Found) -> Spec:
    """What every image becomes, from the configuration and the files' headers."""
    key = (found.place, found.stamp)
    if key not in _plans:
        _plans[key] = _make_plan(config, found)
    return _plans[key]


def _make_plan(config: Encoded, found: _Found) -> Spec:
    background, size = colour(config.background), parse_size(config.size)
    be_strict()
    headers: Counter[Header] = Counter()
    unreadable: list[str] = []
    total, step = len(found.scan.files), min(HEADERS_AT_ONCE, found.scan.at_once)
    portions = [range(start, min(start + step, total)) for start in range(0, total, step)]
    with CountBar(total, "headers") as bar:
        for numbers, contents in zip(portions, found.scan.contents(portions), strict=True):
            for number, content in zip(numbers, contents, strict=True):
                try:
                    headers[header(content)] += 1
                except Unreadable as error:
                    unreadable.append(f"{found.scan.files[number].name} ({error})")
                bar.advance()
    if not headers:
        shown = ", ".join(unreadable[:5])
        raise UserError(
            f"{config.path}: none of its {len(unreadable):,} {found.scan.what} can be decoded: {shown}; give others"
        )
    if size is None:
        found_sizes = {(h.height, h.width) for h in headers}
        if len(found_sizes) > 1:
            low, high = min(found_sizes), max(found_sizes)
            raise UserError(
                f"{config.path}: its images have {len(found_sizes):,} sizes, from {low[0]}x{low[1]} to "
                f"{high[0]}x{high[1]} (height x width); give one for all, as in data.size={_proposed(found_sizes)} "
                "(data.fit=crop, pad or stretch)"
            )
        ((height, width),) = found_sizes
        if max(height, width) > LARGEST_SIDE:
            raise UserError(f"{config.path}: images of {height}x{width}; give a smaller size, as in data.size=128")
        size = (height, width)
    channels = config.channels or (3 if any(h.is_colour for h in headers) else 1)
    scales = {h.scale for h in headers}
    scale = 255.0 if scales == {255.0} else max(scales - {255.0})
    return Spec(channels, *size, scale, config.fit, background)


def _proposed(sizes: set[tuple[int, int]]) -> int:
    smallest = min(min(size) for size in sizes)
    return next((side for side in (128, 64, 32) if side <= smallest), max(8, smallest))


def parse_size(text: str | None) -> tuple[int, int] | None:
    """64 or 48x64 -> (H, W)."""
    if text is None:
        return None
    sides = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    size = (int(sides[1]), int(sides[2] or sides[1])) if sides else (0, 0)
    if not 1 <= min(size) <= max(size) <= LARGEST_SIDE:
        raise UserError(
            f"data.size={text}: give a side, or height x width, of 1 to {LARGEST_SIDE} pixels, as in data.size=64 or "
            "data.size=48x64"
        )
    return size
