"""Where and in which precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from aetrain.config.fields import setting

WITH_GPU = {"name": ("auto", "cuda")}


@dataclass
class Device:
    name: str = setting("auto takes an NVIDIA GPU if there is one; mps, of Apple silicon, is untested",
                        choices=("auto", "cpu", "cuda", "mps"))  # fmt: skip
    index: int = setting("which GPU, counted from 0", min=0, only_if=WITH_GPU)
    precision: str = setting("of the matrix products; tf32 and fp16 (with a gradient scaler) on CUDA only",
                             choices=("fp32", "tf32", "bf16", "fp16"))  # fmt: skip
    threads: Optional[int] = setting("CPU threads; null: one per core, fewer where the process may use fewer", min=1,
                                    max=1024)  # fmt: skip
    deterministic: bool = setting("on CUDA, only deterministic kernels (slower); the CPU is always deterministic",
                                  only_if=WITH_GPU)  # fmt: skip
