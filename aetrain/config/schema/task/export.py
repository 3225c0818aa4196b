"""Export."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar

from aetrain.config.schema.task.base import OnRun
from aetrain.errors import UserError

if TYPE_CHECKING:
    from aetrain.config.schema import Config

NEEDED = ("onnx", "onnxscript", "onnxruntime", "safetensors")


@dataclass
class Export(OnRun):
    """Encoder and decoder for other programs: ONNX, torch.export, and the weights as safetensors."""

    needs_data: ClassVar[bool] = False
    not_given_classes: ClassVar[str | None] = "and the files take an image or a code alone; export a model=vae"

    def check(self, config: Config) -> None:
        if self.split is not None or self.batch_size is not None:
            raise UserError("aetrain export needs no images, but the model alone; leave split and batch_size out")
        if missing := [name for name in NEEDED if find_spec(name) is None]:
            raise UserError(f"aetrain export needs {', '.join(missing)}: pip install 'aetrain[export]'")
