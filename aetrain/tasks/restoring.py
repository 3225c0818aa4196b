"""What denoising and inpainting have in common: images are damaged, mended, and compared with what they were."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from aetrain.evaluation.quality import psnr
from aetrain.pictures.grids import compared, png
from aetrain.tasks.work import Work

Damage = Callable[[Tensor], tuple[Tensor, Tensor | None]]  # images -> damaged ones, and where they are missing
Mend = Callable[[Tensor, Tensor, Tensor | None], Tensor]  # damaged, labels, missing -> mended


@torch.no_grad()
def restore(work: Work, name: str, damaged: Damage, mended: Mend, hidden: float | None = None) -> dict[str, float]:
    """<name>.png, in rows: damaged, mended, truth. <name>.csv: PSNR of each image against the truth, in dB, before and
    after; the metrics are the means over images. Pixels are clipped to [0, 1] for both, as they are seen.

    hidden: the grey in which missing pixels are shown."""
    task, before, after = work.task, [], []
    shown: list[tuple[Tensor, Tensor, Tensor]] = []
    images = 0
    with work.out.rows(f"{name}.csv", ["filename", "class", "psnr_before", "psnr_after"]) as rows:
        for x, y, start in work.chunks(work.split, task.n):
            broken, missing = damaged(x)
            whole = mended(broken, y, missing).float().clamp(0, 1)
            before.append(psnr(x, broken.float().clamp(0, 1)))
            after.append(psnr(x, whole))
            columns = (work.names(start, len(x)), y.tolist(), before[-1].tolist(), after[-1].tolist())
            for i, (file, label, *decibels) in enumerate(zip(*columns, strict=True)):
                rows.add([file, work.class_name(label), *decibels])
                if task.files:
                    work.out.file(f"files/{start + i:06d}.png", png(whole[i]))
            if images < task.shown:
                seen = broken if hidden is None or missing is None else torch.where(missing, hidden, x)
                shown.append((seen, whole, x))
            images += len(x)
    parts = [torch.cat(part)[: task.shown] for part in zip(*shown, strict=True)]
    names = ("damaged" if hidden is None else "known", "mended", "truth")
    work.out.file(f"{name}.png", compared(names, parts, task.columns))
    found = {"psnr_before": torch.cat(before), "psnr_after": torch.cat(after)}
    means = {key: float(values.double().mean()) for key, values in found.items()}
    return means | {"gain_db": means["psnr_after"] - means["psnr_before"]}
