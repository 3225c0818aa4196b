"""A GPU's rules on a machine without one: torch's meta device, whose tensors have shapes and no numbers, in its place.

What would stop on a GPU, or wait for it, raises here, in backward passes too: an operation on tensors of two devices,
and any read by the host. What a kernel computes is not tested.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GPU = torch.device("meta")
aten = torch.ops.aten
READS = (aten._local_scalar_dense.default, aten.item.default)
COPIES = (aten._to_copy.default, aten.copy_.default)


class HostReads(AssertionError):
    """The host asks for a number: on a GPU it would wait until all that was launched is done."""


class MixedDevices(AssertionError):
    """An operation on tensors of several devices."""


class Pretended(TorchDispatchMode):
    """may_read: whether the host may; what it reads is 0 or 1 then, and `reads` counts. stacked: under vmap, where
    Python's own numbers arrive as tensors of the host without dimensions."""

    def __init__(self, may_read: bool = False, stacked: bool = False):
        super().__init__()
        self.may_read, self.stacked, self.reads = may_read, stacked, 0
        self._calls: Counter[object] = Counter()

    def count(self, operation: object) -> int:
        """How often it was called."""
        return self._calls[operation]

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        self._calls[func] += 1
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if func in READS and tensors[0].is_meta:
            self._read(func)
            return 1
        to_host = func is aten._to_copy.default and torch.device(kwargs.get("device") or GPU).type == "cpu"
        if to_host and tensors[0].is_meta:
            self._read(func)
            return torch.zeros(tensors[0].shape, dtype=kwargs.get("dtype") or tensors[0].dtype)
        devices = {tensor.device for tensor in tensors if not (self.stacked and tensor.ndim == 0)}
        if func not in COPIES and len(devices) > 1:
            raise MixedDevices(f"{func}: {[str(tensor.device) for tensor in tensors]}")
        return func(*args, **kwargs)

    def _read(self, func) -> None:
        if not self.may_read:
            raise HostReads(str(func))
        self.reads += 1


def _nothing(*_args, **_kwargs) -> None:
    """What a kernel that writes in place has to say of shapes."""


_library = torch.library.Library("aten", "IMPL")
for _kernel in ("_fused_adam_", "_fused_adamw_", "_fused_sgd_"):
    for _overload in ("", ".tensor_lr"):
        _library.impl(f"{_kernel}{_overload}", _nothing, "Meta", allow_override=True)  # some torches have one


@contextmanager
def pretended(may_read: bool = False, stacked: bool = False) -> Iterator[Pretended]:
    """Within: the rules hold. Generators and autocast, which the meta device has not, are the host's."""
    autocast = torch.autocast
    with (
        patch("torch.Generator", _OfTheHost),
        patch("torch.autocast", lambda _device, **how: autocast("cpu", **how)),
        Pretended(may_read, stacked) as mode,
    ):
        yield mode


class _OfTheHost(torch.Generator):
    def __new__(cls, device="cpu"):
        return super().__new__(cls)
