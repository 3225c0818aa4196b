"""task=denoise: images that are corrupted, encoded and decoded again."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain.corruption import corrupted
from aetrain.tasks.masks import mask_of
from aetrain.tasks.restoring import restore
from aetrain.tasks.work import Work

LEVEL = 0.3  # where neither the command nor the run has one


def run(work: Work) -> dict[str, float]:
    """denoised.png: the corrupted images, what the model makes of them, and the truth; denoised.csv: PSNR of both for
    each. The corruption of an image depends on the seed and its place alone."""
    task, model, own = work.task, work.model, work.config.model
    kind = task.corruption or getattr(own, "corruption", "masking")
    level = getattr(own, "corruption_level", LEVEL) if task.level is None else task.level
    missing = None if task.mask is None else mask_of(task.mask, task.level, model.facts.image_shape)

    def damaged(x: Tensor) -> tuple[Tensor, None]:
        if missing is not None:
            return torch.where(missing.to(x.device), 0.0, x), None
        return corrupted(x, kind, torch.tensor(level, device=x.device), model.noise), None

    def mended(x: Tensor, y: Tensor, _: None) -> Tensor:
        return model.decode(model.encode(x, y), y)

    return restore(work, "denoised", damaged, mended)
