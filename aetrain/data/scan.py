"""Which images lie in a folder, which split each is in, and what it is labelled. No file is opened but metadata.csv.

Splits and labels come from metadata.csv where there is one, else from folders train, val and test, and, one level
below, from folders named by class; else the images are unlabelled.
"""

from __future__ import annotations

import csv
import gc
import hashlib
import io
import os
import stat
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aetrain.config.schema.data import Folder
from aetrain.config.words import suggest
from aetrain.data.card import METADATA, PARTS
from aetrain.data.decode import Encoded
from aetrain.errors import UserError
from aetrain.files import read_bytes

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm", ".pnm"}
)
OTHERS = {".npy": "data=array", ".npz": "data=array", ".parquet": "data=parquet"}  # files of other sources
LARGEST_METADATA = 1 << 28  # bytes
DEEPEST = 40  # folders below each other
ALIASES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
           "test": "test", "testing": "test"}  # fmt: skip


class File(NamedTuple):
    name: str  # relative to the folder, with / between its parts
    path: str  # what is opened: no link
    size: int  # bytes
    time: int  # of its last change, in ns


@dataclass(frozen=True)
class Scan:
    """files: in the order of their names. parts: part -> their places in `files`. labels: of each file, or None."""

    files: Sequence[File]
    parts: dict[str, np.ndarray]
    labels: np.ndarray | None
    classes: tuple[str, ...]
    left_out: int  # images that metadata.csv does not name
    is_sorted: bool = False  # by class

    @property
    def what(self) -> str:
        """What one of `files` is called where there are several."""
        return "files"

    @property
    def options(self) -> list[str]:
        """What else than the configuration's options decides the pixels."""
        return []

    @property
    def at_once(self) -> int:
        """How many of `files` may be asked for together."""
        return 1 << 20

    def contents(self, portions: Iterable[range]) -> Iterator[Sequence[Encoded]]:
        """What is decoded of each portion of `files`, portions in their order."""
        for numbers in portions:
            yield [self.files[number].path for number in numbers]

    def stamp(self) -> str:
        """Changes with every file that is added, changed or removed."""
        text = "\n".join(f"{file.name}\0{file.size}\0{file.time}" for file in self.files)
        return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def scan(config: Folder) -> Scan:
    """Raises a UserError for a folder without images, a link out of it, or a metadata.csv that does not fit."""
    collects = gc.isenabled()
    gc.disable()  # so many small tuples make Python look for garbage again and again: a third of the time
    try:
        return _scan(config)
    finally:
        if collects:
            gc.enable()


def _scan(config: Folder) -> Scan:
    root = Path(config.path)
    if root.is_file():
        hint = OTHERS.get(root.suffix, "its folder")
        raise UserError(f"data.path={root}: a file, and data=folder needs a folder; give {hint}")
    files = sorted(files_below(root, SUFFIXES, config.follow_links))
    if not files:
        kind = next((kind for suffix, kind in OTHERS.items() if any(root.glob(f"*{suffix}"))), None)
        hint = f"; for what there is, {kind}" if kind else ""
        raise UserError(f"data.path={root}: no images in this folder or below ({', '.join(sorted(SUFFIXES))}){hint}")
    split_folders = _split_folders(files)
    tables = [folder for folder in ("", *split_folders) if (root / folder / METADATA).is_file()]
    if tables:
        return _from_metadata(config, root, files, tables, split_folders)
    if config.label is not None:
        raise UserError(f"data.label={config.label}: names a column of metadata.csv, and {root} has none; leave it out")
    parts = [split_folders.get(file.name.partition("/")[0], "train") for file in files]
    depth = 1 if split_folders else 0
    below = [file.name.split("/")[depth:] for file in files]
    if all(len(names) == 2 for names in below) and len({names[0] for names in below}) > 1:
        return replace(made(files, parts, [names[0] for names in below]), is_sorted=True)
    return made(files, parts, None)


def made(files: Sequence[File], parts: list[str], labels: list[str] | None, classes: tuple[str, ...] | None = None,
         left_out: int = 0) -> Scan:  # fmt: skip
    """parts, labels: of each file. classes: in their order, where that is known."""
    places = {part: np.array([i for i, p in enumerate(parts) if p == part], dtype=np.int64) for part in PARTS}
    places = {part: index for part, index in places.items() if len(index)}
    if labels is None:
        return Scan(files, places, None, (), left_out)
    classes = classes or tuple(sorted(set(labels), key=_numbers_first))
    rank = {name: i for i, name in enumerate(classes)}
    return Scan(files, places, np.array([rank[label] for label in labels]), classes, left_out)


def _numbers_first(name: str) -> tuple[int, int, str]:
    return (0, int(name), name) if name.isdecimal() and len(name) < 19 else (1, 0, name)


# --- files


def files_below(root: Path, suffixes: Set[str], follow_links: bool) -> list[File]:
    """The files of these suffixes in a folder and below, in no order. Raises a UserError for a link out of the folder
    that is not to be followed, and for what cannot be read."""
    inside = os.path.realpath(root)
    seen: set[tuple[int, int]] = set()
    found: list[File] = []

    def walk(folder: str, prefix: str, depth: int) -> None:
        about = os.stat(folder)
        if (about.st_dev, about.st_ino) in seen:  # a link to a folder above, or to one that was there before
            return
        seen.add((about.st_dev, about.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(".") or name == "__MACOSX":
                    continue
                path = entry.path
                if entry.is_symlink():
                    path = os.path.realpath(path)
                    if not follow_links and os.path.commonpath([inside, path]) != inside:
                        raise UserError(
                            f"{root / prefix / name}: a link out of the folder; data.follow_links=true follows them"
                        )
                if entry.is_dir():
                    if depth == DEEPEST:
                        raise UserError(f"{root / prefix / name}: more than {DEEPEST} folders below each other")
                    walk(path, f"{prefix}{name}/", depth + 1)
                elif name[name.rfind(".") :].lower() in suffixes:
                    about = entry.stat()
                    if stat.S_ISREG(about.st_mode):
                        found.append(File(prefix + name, path, about.st_size, about.st_mtime_ns))

    try:
        walk(inside, "", 0)
    except FileNotFoundError as error:
        if not root.exists():
            raise UserError(f"data.path={root}: there is no such folder") from error
        raise UserError(f"{error.filename}: gone, or a link to nothing; fix or remove it") from error
    except OSError as error:
        raise UserError(f"{error.filename or root}: cannot be read ({error.strerror})") from error
    return found


def _split_folders(files: list[File]) -> dict[str, str]:
    """Folder -> part, where every image lies in a folder that is called like a part, one of them like `train`."""
    tops = {file.name.partition("/")[0] if "/" in file.name else "" for file in files}
    found = {top: ALIASES.get(top.lower(), "") for top in tops}
    if "train" not in found.values():
        return {}
    if stray := next((top for top, part in found.items() if not part), None):
        raise UserError(
            f"{stray or 'images'} beside the folder {next(t for t, p in found.items() if p == 'train')}: is it a split "
            "or not? Images of split folders all lie in train, val or test; move or rename one of them"
        )
    if "" in found:
        name = next(file.name for file in files if "/" not in file.name)
        raise UserError(f"{name} lies beside the folders of the splits; move it into train, val or test")
    return found


# --- metadata.csv


def _from_metadata(config: Folder, root: Path, files: list[File], tables: list[str], splits: dict[str, str]) -> Scan:
    """Images that the tables name, in their own folder's terms."""
    places = {file.name: i for i, file in enumerate(files)}
    rows: dict[int, tuple[str, str | None]] = {}  # place -> part, label
    for folder in tables:
        where = root / folder / METADATA
        columns, lines = _table(where)
        label, prefix = _label_column(config, where, columns), f"{folder}/" if folder else ""
        at_name, at_split, at_label = (
            columns.index(key) if key in columns else None for key in ("file_name", "split", label)
        )
        for number, row in enumerate(lines, 2):
            name = prefix + row[at_name].replace("\\", "/").removeprefix("./")
            if (place := places.get(name)) is None:
                raise UserError(f"{where}, row {number}: there is no image {row[at_name][:80]!r} in the folder")
            part = (at_split is not None and row[at_split]) or splits.get(name.partition("/")[0], "train")
            if part.lower() not in ALIASES:
                raise UserError(f"{where}, row {number}: split {part[:40]!r}; {suggest(part, PARTS)}")
            if at_label is not None and not row[at_label]:
                raise UserError(f"{where}, row {number}: no {label}; every image needs one, or leave the column out")
            if place in rows:
                raise UserError(f"{where}, row {number}: names {row[at_name][:80]!r} a second time")
            rows[place] = ALIASES[part.lower()], None if at_label is None else row[at_label]
    if not rows:
        raise UserError(f"{root / tables[0] / METADATA}: names no images")
    kept = sorted(rows)
    labels = [rows[i][1] for i in kept]
    given = [label for label in labels if label is not None]
    return made([files[i] for i in kept], [rows[i][0] for i in kept], given if len(given) == len(labels) else None,
                left_out=len(files) - len(kept))  # fmt: skip


def _table(where: Path) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the values of every row."""
    try:
        reader = csv.reader(
            io.StringIO(read_bytes(where, LARGEST_METADATA).decode("utf-8-sig"), newline=""), strict=True
        )
        columns = [name.strip() for name in next(reader, [])]
        rows = [row for row in reader if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{where}: not readable as CSV in UTF-8 ({error})") from error
    if "file_name" not in columns:
        raise UserError(f"{where}: has no column file_name, but {', '.join(columns)[:200] or 'none'}")
    if wrong := next((number for number, row in enumerate(rows, 2) if len(row) != len(columns)), None):
        raise UserError(f"{where}, row {wrong}: not one value for each of the {len(columns)} columns")
    return columns, rows


def _label_column(config: Folder, where: Path, columns: list[str]) -> str | None:
    """data.label, else the column `label`, else the only one there is."""
    others = [name for name in columns if name not in ("file_name", "split")]
    if config.label is not None:
        if config.label not in others:
            raise UserError(f"data.label={config.label}: no such column in {where}; {suggest(config.label, others)}")
        return config.label
    if "label" in others:
        return "label"
    return others[0] if len(others) == 1 else None
