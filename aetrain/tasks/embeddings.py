"""Tables of codes, written portion by portion, however many there are."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aetrain.tasks.output import Output


@dataclass(frozen=True)
class Portion:
    """names: of the images; labels: (B,); codes: (B, D) float32; factors: (B, F)."""

    names: Sequence[str]
    labels: NDArray
    codes: NDArray
    factors: NDArray


@dataclass(frozen=True)
class Columns:
    """What a table holds. n: images; code: numbers of a code; factors: names; classes: names by label."""

    n: int
    code: int
    factors: tuple[str, ...]
    classes: tuple[str, ...]

    def class_name(self, label: int) -> str:
        return "" if label < 0 else self.classes[label] if label < len(self.classes) else str(label)

    @property
    def codes(self) -> list[str]:
        return [f"embedding_{i}" for i in range(self.code)]


class Table(Protocol):
    def add(self, portion: Portion) -> None: ...


class _CSV:
    """filename, label, class, the factors, embedding_0, embedding_1, …"""

    def __init__(self, rows, columns: Columns):
        self._rows, self._columns = rows, columns

    def add(self, portion: Portion) -> None:
        for name, label, factors, code in zip(
            portion.names, portion.labels.tolist(), portion.factors.tolist(), portion.codes, strict=True
        ):
            known = label if label >= 0 else ""
            short = (float(f"{value:.9g}") for value in code)  # 9 digits hold any float32
            self._rows.add([name, known, self._columns.class_name(label), *factors, *short])


class _Parquet:
    """The same columns, but for the code, which is one column of lists."""

    def __init__(self, file, columns: Columns):
        import pyarrow
        from pyarrow import parquet

        self._arrow, self._columns = pyarrow, columns
        code = pyarrow.list_(pyarrow.float32(), columns.code)
        fields = [("filename", pyarrow.string()), ("label", pyarrow.int64()), ("class", pyarrow.string())]
        fields += [(name, pyarrow.int64()) for name in columns.factors] + [("embedding", code)]
        self._schema = pyarrow.schema(fields)
        self._writer = parquet.ParquetWriter(file, self._schema)

    def add(self, portion: Portion) -> None:
        arrow = self._arrow
        known = [label if label >= 0 else None for label in portion.labels.tolist()]
        named = [self._columns.class_name(label) or None for label in portion.labels.tolist()]
        codes = arrow.FixedSizeListArray.from_arrays(arrow.array(portion.codes.ravel()), self._columns.code)
        factors = [arrow.array(column) for column in portion.factors.T]
        names = [name.encode(errors="replace").decode() for name in portion.names]
        arrays = [arrow.array(names), arrow.array(known, arrow.int64()), arrow.array(named, arrow.string())]
        self._writer.write_table(arrow.Table.from_arrays([*arrays, *factors, codes], schema=self._schema))

    def close(self) -> None:
        self._writer.close()


class _NPZ:
    """embeddings (N, D) float32, written as they come; labels (N,), filenames (N,), factors (N, F), factor_names and
    classes at the end. For numpy.load, which needs no pickle for it."""

    def __init__(self, file, columns: Columns):
        self._columns, self._zip = columns, zipfile.ZipFile(file, "w")
        self._names: list[str] = []
        self._labels: list[NDArray] = []
        self._factors: list[NDArray] = []
        self._codes = self._zip.open("embeddings.npy", "w", force_zip64=True)
        header = {"descr": "<f4", "fortran_order": False, "shape": (columns.n, columns.code)}
        np.lib.format.write_array_header_1_0(self._codes, header)

    def add(self, portion: Portion) -> None:
        self._codes.write(np.ascontiguousarray(portion.codes, dtype="<f4").tobytes())
        self._names += portion.names
        self._labels.append(portion.labels)
        self._factors.append(portion.factors)

    def close(self) -> None:
        self._codes.close()
        arrays = {"filenames": np.array(self._names, dtype=np.str_), "labels": np.concatenate(self._labels)}
        if self._columns.factors:
            arrays["factors"] = np.concatenate(self._factors)
            arrays["factor_names"] = np.array(self._columns.factors, dtype=np.str_)
        if self._columns.classes:
            arrays["classes"] = np.array(self._columns.classes, dtype=np.str_)
        for name, array in arrays.items():
            with self._zip.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        self._zip.close()


@contextmanager
def table(out: Output, form: str, columns: Columns) -> Iterator[Table]:
    """embeddings.<form>, which appears when all of it is written. form: csv, npz or parquet."""
    name = f"embeddings.{form}"
    if form == "csv":
        with out.rows(name, ["filename", "label", "class", *columns.factors, *columns.codes]) as rows:
            yield _CSV(rows, columns)
        return
    with out.stream(name) as file:
        found = (_NPZ if form == "npz" else _Parquet)(file, columns)
        yield found
        found.close()
