"""How much memory there is for images, and whether they are to be held in it."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

SHARE = 0.5  # of the free memory, that images may take


def is_resident(resident: bool | str, size: int, device: Any) -> bool:
    """Whether images of so many bytes are to be held on a torch.device: as data.resident says; with auto, where they
    take at most SHARE of the memory that is free there."""
    if resident != "auto":
        return bool(resident)
    if device.type == "cuda":
        import torch

        free = torch.cuda.mem_get_info(device)[0]
    else:
        free = available()
    if size > SHARE * free:
        log.info(
            "data.resident=auto: %.1f GB of images, and %.1f GB of memory are free: read while training", size / 1e9,
            free / 1e9,
        )  # fmt: skip
    return size <= SHARE * free


def available() -> int:
    """Bytes that this process may still take, by the system's and its control group's word."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):  # no Linux
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    try:
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        free = min(free, limit - int((group / "memory.current").read_text()))
    except (OSError, ValueError):  # no limit, or "max"
        pass
    return max(free, 0)
