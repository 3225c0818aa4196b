"""Which images lie in Parquet files, which split each is in, and what it is labelled. Read a few rows at a time."""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from aetrain.config.schema.data import Parquet
from aetrain.config.words import suggest
from aetrain.data.decode import Encoded
from aetrain.data.scan import ALIASES, File, Scan, files_below, made
from aetrain.errors import UserError
from aetrain.files import opened_regular, parsed

SUFFIXES = frozenset({".parquet", ".pq", ".parq"})
BYTES_AT_ONCE = 8 << 20  # of encoded images, on average
# A row group that is larger than memory passes through in pages.
STREAMED = {"buffer_size": 1 << 16, "pre_buffer": False}
OLDEST = 15  # version of pyarrow: older ones run code that a file holds (CVE-2023-47248)


@dataclass(frozen=True)
class Source:
    """A file, and how its images are found. leaf: the column of bytes, `image.bytes` of a struct."""

    file: File
    leaf: str
    rows: int
    bytes: int  # of all its images, encoded
    groups: tuple[int, ...]  # rows of each row group


class Rows(Sequence[File]):
    """The rows of all files, one after another: each is called by its file and its number in it."""

    def __init__(self, sources: Sequence[Source]):
        self.sources = sources
        self.starts = np.cumsum([0, *(source.rows for source in sources)]).tolist()

    def __len__(self) -> int:
        return self.starts[-1]

    def __getitem__(self, number: int) -> File:  # type: ignore[override]
        if not 0 <= number < len(self):
            raise IndexError(number)
        place = bisect_right(self.starts, number) - 1
        file = self.sources[place].file
        return file._replace(name=f"{file.name}:{number - self.starts[place]}")


@dataclass(frozen=True)
class Table(Scan):
    files: Rows
    column: str = ""

    @property
    def what(self) -> str:
        return "images"

    @property
    def options(self) -> list[str]:
        return [self.column]

    @property
    def at_once(self) -> int:
        size = sum(source.bytes for source in self.files.sources)
        return max(1, BYTES_AT_ONCE * len(self.files) // max(1, size))

    def stamp(self) -> str:
        told = [[*source.file._replace(path=""), source.rows] for source in self.files.sources]
        return hashlib.blake2b(json.dumps(told).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()

    def contents(self, portions: Iterable[range]) -> Iterator[Sequence[Encoded]]:
        """Row groups of which nothing is wanted are passed over."""
        portions = [numbers for numbers in portions if len(numbers)]
        values = self._values([(numbers.start, numbers.stop) for numbers in portions])
        for numbers in portions:
            yield [next(values) for _ in numbers]

    def _values(self, wanted: Sequence[tuple[int, int]]) -> Iterator[bytes]:
        """The images of ascending, disjoint ranges of rows, one by one."""
        at_once = max(1, self.at_once // 4)
        for source, first in zip(self.files.sources, self.files.starts, strict=False):
            here = [(max(a, first) - first, min(b, first + source.rows) - first) for a, b in wanted
                    if a < first + source.rows and b > first]  # fmt: skip
            if here:
                yield from _read(source, here, at_once)


def scan(config: Parquet) -> Table:
    """Raises a UserError for no Parquet files, files without images, and a label that is none."""
    files = _files(config)
    sources, labels, names = [], [], None
    for file in files:
        with _opened(file) as (table, schema):
            leaf = _image_column(config, file, schema)
            column, found = _label_column(config, file, schema)
            if sources and found != names:
                raise UserError(f"{file.path}: its labels have other names than those of {files[0].path}")
            names = found
            sources.append(_source(file, leaf, table))
            labels.append(None if column is None else _labels(config, file, table, column, names))
    if len(leaves := {source.leaf for source in sources}) > 1:
        raise UserError(
            f"{config.path}: its files keep their images in different columns, {' and '.join(sorted(leaves))}"
        )
    rows = Rows(sources)
    if not len(rows):
        raise UserError(f"{config.path}: has no rows")
    parts = [part for part, source in zip(_parts(files), sources, strict=True) for _ in range(source.rows)]
    if any(found is None for found in labels):
        labels = []
    known = made(rows, parts, [label for found in labels for label in found] if labels else None, names)
    table = Table(rows, known.parts, known.labels, known.classes, 0, column=leaf)
    train = None if table.labels is None else table.labels[table.parts["train"]]
    return replace(table, is_sorted=train is not None and bool((np.diff(train) >= 0).all()))


def _files(config: Parquet) -> list[File]:
    root = Path(config.path)
    if not root.is_file():
        files = sorted(files_below(root, SUFFIXES, config.follow_links))
        if not files:
            raise UserError(
                f"data.path={root}: no Parquet files in this folder or below ({', '.join(sorted(SUFFIXES))})"
            )
        return files
    about = root.stat()
    return [File(root.name, str(root.resolve()), about.st_size, about.st_mtime_ns)]


def _parts(files: Sequence[File]) -> list[str]:
    """By what a folder, or a file up to its first -, _ or dot, is called; all in train where that does not fit all."""

    def part(name: str) -> str | None:
        *folders, last = name.lower().split("/")
        words = [*folders, re.split(r"[-_.]", last)[0]]
        return next((ALIASES[word] for word in words if word in ALIASES), None)

    found = [part(file.name) for file in files]
    if "train" not in found:
        return ["train"] * len(files)
    if None in found:
        stray = files[found.index(None)].name
        raise UserError(f"{stray}: beside files of train, val or test; is it a split or not? Move or rename it")
    return found  # type: ignore[return-value]


# --- columns


def _image_column(config: Parquet, file: File, schema: Any) -> str:
    """The column of the images' bytes: of data.image, else the only one there can be, else `image`."""
    leaves = {field.name: leaf for field in schema if (leaf := _leaf(field)) is not None}
    if config.image is not None:
        if config.image not in leaves:
            raise UserError(
                f"data.image={config.image}: no column of images in {file.path}; "
                + (suggest(config.image, leaves) if leaves else "it has none")
            )
        return leaves[config.image]
    if len(leaves) > 1 and "image" not in leaves:
        raise UserError(
            f"{file.path}: which of its columns are the images, {', '.join(map(str, leaves))[:200]}? Give "
            f"data.image={next(iter(leaves))}"
        )
    if not leaves:
        raise UserError(
            f"{file.path}: has no column of images, which are bytes, or a struct with bytes as of Hugging Face; it has "
            f"{', '.join(schema.names)[:200] or 'none'}"
        )
    return leaves["image" if len(leaves) > 1 else next(iter(leaves))]


def _leaf(field: Any) -> str | None:
    from pyarrow import types

    def holds(kind: Any) -> bool:
        return types.is_binary(kind) or types.is_large_binary(kind)

    if holds(field.type):
        return field.name
    if types.is_struct(field.type):
        index = field.type.get_field_index("bytes")
        if index >= 0 and holds(field.type.field(index).type):
            return f"{field.name}.bytes"
    return None


def _label_column(config: Parquet, file: File, schema: Any) -> tuple[str | None, tuple[str, ...] | None]:
    """The column of the labels, and the names of the classes where the file says them."""
    named = _class_names(schema)
    if config.label is not None:
        if config.label not in schema.names:
            raise UserError(
                f"data.label={config.label}: no such column in {file.path}; {suggest(config.label, schema.names)}"
            )
        return config.label, named.get(config.label)
    column = "label" if "label" in schema.names else next(iter(named)) if len(named) == 1 else None
    return column, named.get(column)


def _class_names(schema: Any) -> dict[str, tuple[str, ...]]:
    """Column -> names of its classes, as Hugging Face's data sets keep them beside the schema."""
    try:
        features = parsed((schema.metadata or {})[b"huggingface"])["info"]["features"]
        found = {column: about.get("names") for column, about in features.items() if isinstance(about, Mapping)}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
    return {
        column: tuple(names) for column, names in found.items()
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names)
        and len(set(names)) == len(names) and column in schema.names
    }  # fmt: skip


def _labels(config: Parquet, file: File, table: Any, column: str, names: tuple[str, ...] | None) -> list[str] | None:
    """The labels of a file's rows by name; None where a row has none, or the column holds something else."""
    from pyarrow import types

    kind = table.schema_arrow.field(column).type
    if types.is_dictionary(kind):
        kind = kind.value_type
    fits = types.is_integer(kind) or types.is_boolean(kind) or types.is_string(kind) or types.is_large_string(kind)
    values = table.read(columns=[column]).column(0).to_pylist() if fits else [None]
    missing = None in values or (types.is_integer(kind) and any(value < 0 for value in values))
    if names is not None and not missing:
        missing = not types.is_integer(kind) or any(value >= len(names) for value in values)
    if missing:
        if config.label is not None:
            raise UserError(
                f"data.label={column}: {file.path} has rows without such a label, or neither whole numbers nor words "
                "there; give another column"
            )
        return None
    return [names[value] for value in values] if names is not None else [str(value) for value in values]


# --- reading


@contextmanager
def _opened(file: File) -> Iterator[tuple[Any, Any]]:
    """A file and its schema. What is wrong with it is one line."""
    pyarrow, parquet = _pyarrow()
    try:
        with (
            opened_regular(file.path, follow=True) as opened,
            parquet.ParquetFile(opened, **STREAMED) as table,
        ):
            yield table, table.schema_arrow
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise UserError(f"{file.path}: not a Parquet file, or damaged ({reason})") from error


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise UserError("data=parquet needs pyarrow: pip install 'aetrain[data]'") from error
    if int(pyarrow.__version__.split(".")[0]) < OLDEST:
        raise UserError(
            f"data=parquet: pyarrow {pyarrow.__version__} may run code of a file; pip install 'aetrain[data]'"
        )
    return pyarrow, parquet


def _source(file: File, leaf: str, table: Any) -> Source:
    about = table.metadata
    groups = [about.row_group(i) for i in range(about.num_row_groups)]
    columns = [column for group in groups for column in map(group.column, range(group.num_columns))]
    size = sum(column.total_uncompressed_size for column in columns if column.path_in_schema == leaf)
    return Source(file, leaf, about.num_rows, size, tuple(group.num_rows for group in groups))


def _read(source: Source, wanted: Sequence[tuple[int, int]], at_once: int) -> Iterator[bytes]:
    """The images of ascending, disjoint ranges of a file's rows; empty bytes where there is none."""
    starts = np.cumsum([0, *source.groups]).tolist()
    with _opened(source.file) as (table, _):
        if _source(source.file, source.leaf, table) != source:
            raise UserError(f"{source.file.path}: has changed since its rows were counted; start again")
        for group, (first, end) in enumerate(pairwise(starts)):
            inside = [(max(a, first), min(b, end)) for a, b in wanted if a < end and b > first]
            number = first
            for batch in table.iter_batches(at_once, [group], [source.leaf], use_threads=False) if inside else ():
                values = batch.column(0)
                if source.leaf.endswith(".bytes") and values.type.num_fields:
                    (values,) = values.flatten()
                for a, b in inside:
                    for row in range(max(a, number), min(b, number + len(values))):
                        yield values[row - number].as_py() or b""
                number += len(values)
                if number >= inside[-1][1]:
                    break
