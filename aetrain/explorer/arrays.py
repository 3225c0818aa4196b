"""Numbers for the page's script: one block of bytes, and a table of what lies where in it."""

from __future__ import annotations

import base64
import zlib

import torch
from torch import Tensor

KINDS = {torch.uint8: "u1", torch.float16: "f2", torch.float32: "f4"}  # little-endian
LEVEL = 6  # of zlib


class Arrays:
    """A tensor that is added twice is stored once."""

    def __init__(self) -> None:
        self.table: list[dict[str, int | str]] = []
        self._parts: list[bytes] = []
        self._known: dict[tuple, int] = {}
        self._kept: list[Tensor] = []  # so that no other tensor comes to lie where a known one lay
        self._at = 0

    def add(self, values: Tensor, dtype: torch.dtype) -> int:
        """Its number in the table."""
        key = (values.data_ptr(), tuple(values.shape), tuple(values.stride()), dtype)
        if key not in self._known:
            content = values.detach().cpu().to(dtype).contiguous().numpy().tobytes()
            content += b"\0" * (-len(content) % 4)  # typed arrays begin at a multiple of their element's size
            self._known[key] = len(self.table)
            self._kept.append(values)
            self.table.append({"kind": KINDS[dtype], "length": values.numel(), "at": self._at})
            self._parts.append(content)
            self._at += len(content)
        return self._known[key]

    def packed(self) -> str:
        """All of them, compressed, in base64."""
        return base64.b64encode(zlib.compress(b"".join(self._parts), LEVEL)).decode()


def packed_size(values: Tensor) -> int:
    """Bytes of a page that a tensor will take, about."""
    return len(zlib.compress(values.contiguous().numpy().tobytes(), LEVEL)) * 4 // 3
