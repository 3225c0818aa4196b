"""Arrays in numpy's .npz and .npy files, of anyone's making. Headers say shapes and types before anything is read;
arrays of objects, which are pickles, are refused: reading one runs code."""

from __future__ import annotations

import lzma
import math
import os
import struct
import tokenize
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from aetrain.data.memory import available
from aetrain.errors import UserError
from aetrain.files import opened_regular

LARGEST_HEADER = 10_000
DAMAGED = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, KeyError,
           OverflowError, struct.error, lzma.LZMAError)  # fmt: skip
# What numpy's reader of headers, which are Python literals, raises beside ValueError; MemoryError: nested too deeply.
UNPARSED = (SyntaxError, tokenize.TokenError, TypeError, IndexError, KeyError, AttributeError, OverflowError,
            RecursionError, MemoryError)  # fmt: skip


class Header(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype
    is_fortran: bool


def opened(path: Path) -> IO[bytes]:
    """A regular file to read. Raises a UserError."""
    try:
        return opened_regular(path, follow=True)
    except FileNotFoundError as error:
        raise UserError(f"data.path={path}: there is no such file") from error
    except IsADirectoryError as error:
        raise UserError(f"data.path={path}: a folder; for a folder of images, data=folder") from error
    except OSError as error:
        raise UserError(f"data.path={path}: cannot be read ({error.strerror})") from error


def headers_of(path: Path) -> dict[str, Header]:
    """Name -> header of every array; the one of a .npy file is called images."""
    with opened(path) as file:
        try:
            if file.read(6) == b"\x93NUMPY":
                file.seek(0)
                header = _header(path, "images", file)
                if os.fstat(file.fileno()).st_size < file.tell() + math.prod(header.shape) * header.dtype.itemsize:
                    raise ValueError(f"it ends before the last of its shape, {header.shape}")
                return {"images": header}
            headers = {}
            with zipfile.ZipFile(file) as archive:
                for name in archive.namelist():
                    if name.endswith(".npy"):
                        with archive.open(name) as member:
                            headers[name.removesuffix(".npy")] = _header(path, name, member)
            return headers
        except DAMAGED as error:
            raise UserError(f"{path}: not a .npy or .npz file of numpy's, or damaged ({_reason(error)})") from error


def _header(path: Path, name: str, file: Any) -> Header:
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"format {version}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python's parser, on what is no Python
            shape, is_fortran, dtype = readers[version](file, max_header_size=LARGEST_HEADER)
    except UNPARSED as error:
        raise ValueError(f"its header: {_reason(error)}") from error
    if any(size < 0 for size in shape):
        raise ValueError(f"its header: shape {shape}")
    if dtype.hasobject:
        raise UserError(
            f"{path}: '{name.removesuffix('.npy')}' is an array of Python objects, a pickle, which runs code when it "
            "is read: refused; save the images as an array of uint8"
        )
    return Header(shape, dtype, is_fortran)


def read(path: Path, name: str, header: Header) -> np.ndarray:
    """An array's values. Never more than its header says is read, and no more than fits is begun."""
    count = math.prod(header.shape)
    size = count * header.dtype.itemsize
    with opened(path) as file:
        try:
            if file.read(6) == b"\x93NUMPY":
                file.seek(0)
                _check_same(header, _header(path, name, file))
                # A private map: pages are read when they are asked for, and nothing is ever written back.
                return np.memmap(file, header.dtype, "c", file.tell(), header.shape, "F" if header.is_fortran else "C")
            if size > available():
                raise MemoryError
            values = np.empty(count, header.dtype)
            with zipfile.ZipFile(file) as archive, archive.open(f"{name}.npy") as member:
                _check_same(header, _header(path, name, member))
                view, done = memoryview(values.view(np.uint8)), 0
                while done < size:
                    part = member.read(min(1 << 24, size - done))
                    if not part:
                        raise EOFError(f"it ends after {done:,} of {size:,} bytes")
                    view[done : done + len(part)] = part
                    done += len(part)
                if member.read(1):
                    raise ValueError("it is longer than its header says")
        except MemoryError as error:
            raise UserError(
                f"{path}: '{name}' of shape {header.shape} needs {size / 1e9:,.1f} GB and does not fit into memory; "
                "saved as a .npy file it is read as it is needed"
            ) from error
        except DAMAGED as error:
            raise UserError(f"{path}: '{name}' is damaged ({_reason(error)})") from error
    return values.reshape(header.shape[::-1]).T if header.is_fortran else values.reshape(header.shape)


def _check_same(before: Header, now: Header) -> None:
    if before != now:
        raise ValueError("it has changed since its header was read")


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
