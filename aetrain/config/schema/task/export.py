"""Export."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from aetrain.config.schema.task.base import OnRun
from aetrain.errors import UserError

if TYPE_CHECKING:
    from aetrain.config.schema import Config

NEEDED = ("onnx", "onnxscript", "onnxruntime", "safetensors")


@dataclass
class Export(OnRun):
    """Encoder and decoder for other programs: ONNX, torch.export, and the weights as safetensors."""

    def check(self, config: Config) -> None:
        if missing := [name for name in NEEDED if find_spec(name) is None]:
            raise UserError(f"aetrain export needs {', '.join(missing)}: pip install 'aetrain[export]'")
