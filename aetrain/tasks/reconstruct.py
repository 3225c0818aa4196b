"""task=reconstruct: images beside their reconstructions."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain.evaluation.quality import psnr
from aetrain.pictures.grids import compared, png
from aetrain.tasks.images import asked_labels
from aetrain.tasks.work import Work


@torch.no_grad()
def run(work: Work) -> dict[str, float]:
    """reconstructions.png, reconstructions.csv with the error of each image, and with `files` a PNG file of each.
    With classes, the picture also shows every image's code decoded as each of them."""
    task, model, split, labels = work.task, work.model, work.split, asked_labels(work)
    shown: list[tuple[Tensor, ...]] = []
    totals, images = {"mse": 0.0, "psnr_db": 0.0}, 0
    with work.out.rows("reconstructions.csv", ["number", "filename", "class", "mse", "psnr_db"]) as rows:
        for x, y, start in work.chunks(split, task.n):
            code = model.encode(x, y) if task.z == "mean" else model.draw_code(x, y)
            x_hat = model.decode(code, y).float()
            if images < task.shown:
                others = [model.decode(code, torch.full_like(y, label)).float() for label in labels]
                shown.append((x, x_hat, *others))
            shown_hat = x_hat.clamp(0, 1)
            mse, db = (x - shown_hat).square().flatten(1).mean(1), psnr(x, shown_hat)  # (B,) each
            for i, (name, label, error, decibels) in enumerate(
                zip(work.names(start, len(x)), y.tolist(), mse.tolist(), db.tolist(), strict=True)
            ):
                rows.add([start + i, name, work.class_name(label), error, decibels])
                if task.files:
                    work.out.file(f"files/{start + i:06d}.png", png(x_hat[i]))
            totals["mse"] += float(mse.double().sum())
            totals["psnr_db"] += float(db.double().sum())
            images += len(x)
    parts = [torch.cat(part)[: task.shown] for part in zip(*shown, strict=True)]
    names = ["image", "reconstruction", *(f"as {work.class_names[label]}" for label in labels)]
    work.out.file("reconstructions.png", compared(names, parts, task.columns))
    return {name: total / images for name, total in totals.items()}
