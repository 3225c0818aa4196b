"""Checkpoints: everything a run needs to go on, as plain containers and tensors. Nothing in one can run code."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from aetrain.config import stored
from aetrain.config.tree import MAY_CHANGE, flatten, plain
from aetrain.data.card import content_sum
from aetrain.errors import UserError
from aetrain.files import opened_regular, write_atomically
from aetrain.version import __version__

FORMAT = 1
# What zipfile and torch raise for files that are damaged or of another kind.
DAMAGED = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, RuntimeError, KeyError, IndexError,
    ValueError, TypeError, AttributeError, AssertionError,
)  # fmt: skip
# What resuming reads, and its kind.
KINDS = {
    "config": dict, "overrides": list, "position": dict, "machine": dict,
    "model": dict, "optimizer": dict, "rng": dict, "meters": dict,
    "step": int, "total_steps": int, "epoch": float, "seconds": float, "skipped": int,
    "best": dict, "stopped_early": bool, "metrics": dict,
}  # fmt: skip


def save(paths: Sequence[Path], content: dict[str, Any]) -> None:
    """Write the same to each, atomically; the checkpoint that was there stays until the new one is on the disk. Raises
    OSError."""
    buffer = io.BytesIO()
    versions = {"aetrain": __version__, "torch": str(torch.__version__)}
    torch.save(_own_storage({"format": FORMAT, "versions": versions, **content}), buffer)
    for path in paths:
        write_atomically(path, buffer.getbuffer())


def _own_storage(node: Any) -> Any:
    """The same tree in the host's memory, so that it can be read where there is no GPU, with every view copied: of a
    view, a member's row of a stack say, torch.save writes all that the storage behind it holds."""
    if isinstance(node, torch.Tensor):
        return (node.clone() if node.untyped_storage().nbytes() > node.nbytes else node).cpu()
    if isinstance(node, dict):
        return {key: _own_storage(value) for key, value in node.items()}
    return [_own_storage(value) for value in node] if isinstance(node, list) else node


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The content of a checkpoint, which may come from anywhere: nothing of it is run.

    Raises a UserError, one line, for a file that is absent, damaged, of another kind, or that holds more than plain
    containers and tensors. The archive's checksums are verified: torch.load alone accepts flipped bits in tensors.
    """
    try:
        with opened_regular(path, follow=True) as file:
            with zipfile.ZipFile(file) as archive:
                damaged = archive.testzip()
            if damaged is not None:
                raise UserError(f"{path}: damaged (checksum of {damaged}); use another checkpoint")
            file.seek(0)
            content = torch.load(file, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; a run keeps its checkpoints in <run folder>/checkpoints/") from error
    except IsADirectoryError as error:
        raise UserError(f"{path}: a folder; give a file in it, such as {path / 'last.pt'}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except pickle.UnpicklingError as error:
        raise UserError(f"{path}: refused, it holds more than tensors and plain data (or is damaged)") from error
    except DAMAGED as error:
        raise UserError(f"{path}: damaged or not a checkpoint of aetrain; use another one") from error
    if not isinstance(content, dict) or {"format", "config", "model", "step"} - content.keys():
        raise UserError(f"{path}: not a checkpoint of aetrain")
    if content.get("format") != FORMAT:
        raise UserError(f"{path}: of format {content.get('format')}, this version of aetrain reads format {FORMAT}")
    return content


def check_state(path: Path, state: dict[str, Any], config: Any) -> None:
    """Raise a UserError unless the checkpoint is of a run with this configuration, up to what may change on resuming,
    and has the parts and the kinds of values that resuming reads."""
    for key, kind in KINDS.items():
        if not isinstance(state.get(key), kind):
            raise UserError(f"{path}: has no usable {key!r}; use another checkpoint")
    sizes, meters = state["position"].values(), state["meters"]
    sums = meters.get("sums") if isinstance(meters.get("sums"), dict) else {}
    sound = (
        state["step"] >= 0
        and all(type(size) is int and size >= 0 for size in sizes)
        and all(isinstance(override, str) for override in state["overrides"])
        and all(s is None or s.shape == (len(meters.get("names", ())) + 1,) for s in sums.values())
    )
    if not sound:
        raise UserError(f"{path}: holds values that no run of aetrain writes; use another checkpoint")
    theirs = flatten(plain(stored.build(state["config"], str(path))))
    for key, value in flatten(plain(config)).items():
        if not MAY_CHANGE.match(key) and theirs.get(key) != value:
            raise UserError(
                f"{path}: is of a run with another {key} than requested here ({theirs.get(key)}, not {value})"
            )


def check_content(path: Path, state: dict[str, Any], config: Any) -> None:
    """Raise a UserError unless the configuration's data hold the images that the run was trained on."""
    if "content" in state and state["content"] != content_sum(config.data):
        raise UserError(f"{path}: was trained on other images than data={config.data.name} holds now; start a new run")
