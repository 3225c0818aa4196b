"""Whether a run's step is compiled, and where what has been compiled is kept."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from aetrain.config.fields import hparams
from aetrain.config.rules import compiler, total_steps
from aetrain.config.tree import plain
from aetrain.data.card import card
from aetrain.data.home import default_root
from aetrain.errors import UserError

log = logging.getLogger(__name__)

# For the default model at batch 128, on two cores of an Intel Xeon with torch 2.14, on an H100 with torch 2.11.
# A cautious rule: larger batches save more, and so does most else on AMD (but for `ae`, which saves nothing there).
SAVED = {"cpu": 0.49e-3, "cuda": 0.13e-3}  # seconds per step
COLD, WARM = 24.0, 5.5  # seconds to compile, the first time and with what torch has kept of that


def is_compiled(config: Any, device: torch.device, state: Mapping[str, Any] | None) -> bool:
    """What trainer.compile asks for; of auto, where the steps repay the time to compile. A resumed run stays as it
    was, since the two agree to rounding only. state: of its checkpoint."""
    asked = config.trainer.compile
    if asked == "auto":
        wanted = pays(config, device) if state is None else bool(state.get("compiled"))
        asked = wanted and is_possible(config, device)
    if asked:
        keep(config, device)
    return asked


def is_possible(config: Any, device: torch.device) -> bool:
    """Whether such a step can be compiled here."""
    return (
        device.type in SAVED
        and config.optimizer.name != "lbfgs"
        and config.device.precision != "fp16"
        and shutil.which(compiler()) is not None
    )


def pays(config: Any, device: torch.device) -> bool:
    """Of this run on this device. On a CPU convolutions gain nothing in fp32, and bf16 at batch 128 a little on one
    processor (4.42 instead of 4.84 ms, Intel) and less than nothing on another (4.93 instead of 4.55, AMD)."""
    if not is_possible(config, device):
        return False
    if device.type == "cpu" and (config.device.precision == "bf16" or not config.net.is_dense):
        return False
    gain = total_steps(config) * SAVED[device.type]
    mark = _mark(config, device)
    cost = WARM if mark is not None and mark.exists() else COLD
    log.info(
        "trainer.compile=auto: %s, as %s steps save %.1f s and compiling takes about %.1f s",
        "compiled" if gain > cost else "eager", f"{total_steps(config):,}", gain, cost,
    )  # fmt: skip
    return gain > cost


def keep(config: Any, device: torch.device) -> None:
    """Let torch keep what it compiles in aetrain's folder of the user's cache, and note that it has."""
    if (mark := _mark(config, device)) is None:
        return
    with suppress(OSError):  # a full disk, say: it is then compiled again
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(mark.parent))


def _mark(config: Any, device: torch.device) -> Path | None:
    """A file that says that such a step has been compiled here; None where the user has no folder for it."""
    scalars = hparams(config.model)  # which are data of the compiled step
    model = {key: value for key, value in plain(config.model).items() if key not in scalars and key != "schedule"}
    trainer, data = config.trainer, card(config.data)
    prior = config.prior and plain(config.prior)
    optimizer = {key: value for key, value in plain(config.optimizer).items() if key not in ("lr", "schedule")}
    compiled = (model, plain(config.net), prior, data.image_shape, trainer.batch_size, trainer.clip_norm, optimizer,
                config.device.precision, device.type, str(torch.__version__))  # fmt: skip
    name = hashlib.blake2b(repr(compiled).encode(), digest_size=12).hexdigest()
    with suppress(UserError):
        return default_root() / "compiled" / f"{name}.mark"
    return None
