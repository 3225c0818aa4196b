"""Which device, in which precision. The checks need no torch; the rest imports it when called."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import functools
import logging
import math
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aetrain.errors import UserError

if TYPE_CHECKING:
    import torch


log = logging.getLogger(__name__)

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"  # without it cuBLAS may add in another order each time


def cuda_device_count() -> int:
    """NVIDIA GPUs that the driver shows, asked of the driver itself: 0.3 ms, not the seconds of a torch import."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def check_device(config) -> None:
    """Raise a UserError for a device that is not there or cannot compute in the precision asked for."""
    if config.name == "mps" and (sys.platform, platform.machine()) != ("darwin", "arm64"):
        raise UserError("device=mps: it is the GPU of a Mac with Apple silicon, which this is not; use device=cpu")
    if config.name == "mps" and config.precision != "fp32":
        raise UserError(f"device.precision={config.precision}: not with device=mps, which is untested; use fp32")
    count = cuda_device_count() if config.name in ("auto", "cuda") else 0
    if config.name == "cuda" and count == 0:
        raise UserError("device=cuda: no NVIDIA GPU with a working driver was found; use device=cpu or device=auto")
    if count and config.index >= count:
        raise UserError(
            f"device.index={config.index}: {count} GPU(s) were found, counted from 0; give at most {count - 1}"
        )
    if not count and config.precision in ("tf32", "fp16"):
        raise UserError(f"device.precision={config.precision}: needs a CUDA device; on the CPU use fp32 or bf16")


def here(config):
    """The device of a run's configuration where this machine has it, else the CPU, in a precision that it has."""
    if config.name == "cpu" or cuda_device_count() > config.index:
        return config
    precision = "fp32" if config.precision in ("tf32", "fp16") else config.precision
    return dataclasses.replace(config, name="cpu", index=0, precision=precision)


def cpu_quota(cgroup: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Whole CPUs that this process may use: those it is bound to, and no more than its control group's quota (cgroup
    version 2), which containers have and torch does not ask for. A thread more than that makes every step wait."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError):  # no Linux
        folder = cgroup / own.read_text().rpartition("::/")[2].strip()
        for level in (folder, *folder.parents):
            with contextlib.suppress(OSError, ValueError):  # no file, or "max" for a number: no quota at this level
                limit, period = map(int, (level / "cpu.max").read_text().split())
                cpus = min(cpus, math.ceil(limit / period))
    return max(1, cpus)


@functools.cache
def default_threads() -> int:
    """torch's own number of threads, at most the CPUs that there are; asked once, before any run changes it."""
    import torch

    return min(torch.get_num_threads(), cpu_quota())


def allow_tf32(allowed: bool) -> None:
    """Whether float32 products may be made of tf32's 10 bits: a setting of the process."""
    import torch

    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed


def resolve(config) -> torch.device:
    """The device to train on, with torch's global settings made to fit.

    Raises a UserError where the driver has a GPU and torch cannot use it."""
    import torch

    check_device(config)
    torch.set_num_threads(config.threads or default_threads())
    if config.name == "cpu" or (config.name == "auto" and cuda_device_count() == 0):
        return torch.device("cpu")
    if config.name == "mps":
        if not torch.backends.mps.is_available():
            raise UserError("device=mps: this build of torch cannot use it; use device=cpu")
        return torch.device("mps")
    if not torch.cuda.is_available():
        if config.name == "auto" and config.precision in ("fp32", "bf16"):
            log.info("there is a GPU, but torch %s cannot use it: training on the CPU", torch.__version__)
            return torch.device("cpu")
        raise UserError("device=cuda: the driver shows a GPU, but this build of torch cannot use it; use device=cpu")
    if config.deterministic and CUBLAS not in os.environ:
        if torch.cuda.is_initialized():  # torch has asked for it by then, and does not ask again
            raise UserError(
                f"device.deterministic=true: this process has used the GPU without it; set {CUBLAS}=:4096:8 before it "
                "starts, or begin with the run that is deterministic"
            )
        os.environ[CUBLAS] = ":4096:8"
    torch.cuda.set_device(config.index)  # streams, graphs and libraries work on the current one
    torch.backends.cudnn.benchmark = not config.deterministic  # shapes are fixed, so that trying pays
    allow_tf32(config.precision == "tf32")
    # Set either way: the members of a sweep share the process.
    torch.use_deterministic_algorithms(config.deterministic)
    return torch.device("cuda", config.index)


@dataclass
class Precision:
    """Mixed precision: a context for the forward pass and, for fp16, a gradient scaler."""

    name: str
    device_type: str
    scaler: Any = None  # torch.amp.GradScaler, fp16 only: its gradients would underflow otherwise

    @classmethod
    def of(cls, name: str, device: torch.device) -> Precision:
        import torch

        scaler = torch.amp.GradScaler(device.type) if name == "fp16" else None
        return cls(name, device.type, scaler)

    def autocast(self) -> contextlib.AbstractContextManager:
        import torch

        dtypes = {"bf16": torch.bfloat16, "fp16": torch.float16}
        if self.name not in dtypes:
            return contextlib.nullcontext()
        return torch.autocast(self.device_type, dtype=dtypes[self.name])
