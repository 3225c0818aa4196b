"""Which members of a sweep can be trained as one stack, and how many at a time."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from aetrain import models
from aetrain.config.tree import flatten, plain
from aetrain.data.facts import Facts
from aetrain.training.optimizer import kernel_fits

SHARE_OF_FREE_MEMORY = 0.8
FILES_OF_A_MEMBER = 5  # open while it trains: metrics.jsonl, the event file, the log, the lock, and one being written
OTHER_FILES = 128  # of the process itself, with its libraries, devices and data


def why_alone(config: Any) -> str | None:
    """What keeps a member out of every stack; None if nothing does."""
    if config.task.name != "train":
        return f"task={config.task.name}"
    if config.device.precision == "fp16":
        return "device.precision=fp16 has a gradient scaler of its own"
    if config.trainer.on_nonfinite == "skip":
        return "trainer.on_nonfinite=skip makes members lose step with each other"
    if config.optimizer.name == "lbfgs":
        return "optimizer=lbfgs has a line search of its own"
    if not kernel_fits(config.optimizer.name):
        return f"optimizer={config.optimizer.name} has no fused kernel in this version of torch that is known here"
    return None


def structure(config: Any) -> tuple:
    """Equal for members that differ in nothing but the values of hparams and their schedules. An hparam that is null
    takes a term out of the objective, and so is another structure."""
    fields = dataclasses.fields(config.model)
    free = {f"model.{f.name}" for f in fields if f.metadata.get("hparam")}
    values = flatten(plain(config)).items()
    kept = {key: repr(value) for key, value in values if key not in free and not key.startswith("model.schedule.")}
    given = {f.name: getattr(config.model, f.name) is not None for f in fields if f"model.{f.name}" in free}
    return tuple(sorted(kept.items())), tuple(sorted(given.items()))


def bytes_per_member(config: Any, facts: Facts) -> int:
    """Memory that a member of a stack takes: parameters, gradients, the optimizer's two slots and a copy of the
    parameters that comes and goes (in the precision of products, or when the rows are made); what the forward pass
    keeps for the backward pass, counted on a batch, and as much again."""
    with torch.random.fork_rng(devices=[]):
        model = models.build(config.model, config.net, config.prior, facts)
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            n = config.trainer.batch_size
            model(torch.rand(n, *facts.image_shape), torch.zeros(n, dtype=torch.int64))
    parameters = sum(p.numel() * p.element_size() for p in model.parameters())
    return 5 * parameters + 2 * sum(kept.values())


def free_memory(device: torch.device) -> int:
    """Bytes that a stack may take on the device."""
    if device.type == "cuda":
        return int(SHARE_OF_FREE_MEMORY * torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # no Linux
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return int(SHARE_OF_FREE_MEMORY * available)


def open_files() -> int:
    """How many members may have their files open at once, by the limit of the system (ulimit -n), which is raised as
    far as the process may."""
    try:
        import resource  # not on Windows
    except ModuleNotFoundError:
        return 64
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # a system may allow less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return max(1, (soft - OTHER_FILES) // FILES_OF_A_MEMBER) if soft != resource.RLIM_INFINITY else sys.maxsize


def portions(members: list, most: int) -> Iterable[list]:
    """At most `most` members each, as even as possible: a stack takes about as long as its size, so 9 are 5 + 4."""
    count = -(-len(members) // max(1, most))
    sizes = [len(members) // count + (i < len(members) % count) for i in range(count)]
    start = 0
    for size in sizes:
        yield members[start : start + size]
        start += size
