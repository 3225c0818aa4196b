"""task=reconstruct: images beside their reconstructions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aetrain.pictures.grids import beside, grid, png
from aetrain.tasks.work import Work


@torch.no_grad()
def run(work: Work) -> dict[str, float]:
    """reconstructions.png, reconstructions.csv with the error of each image, and with `files` a PNG file of each."""
    task, model, split = work.task, work.model, work.split
    shown: list[tuple[Tensor, Tensor]] = []
    total, images = 0.0, 0
    with work.out.rows("reconstructions.csv", ["number", "image", "class", "mse", "psnr_db"]) as rows:
        for x, y, start in work.chunks(split, task.n):
            code = model.encode(x, y) if task.z == "mean" else model.draw_code(x, y)
            x_hat = model.decode(code, y).float()
            if images < task.shown:
                shown.append((x, x_hat))
            mse = (x - x_hat.clamp(0, 1)).square().flatten(1).mean(1)  # (B,)
            for i, (name, label, error) in enumerate(
                zip(work.names(start, len(x)), y.tolist(), mse.tolist(), strict=True)
            ):
                rows.add([start + i, name, work.class_name(label), error, -10 * math.log10(max(error, 1e-12))])
                if task.files:
                    work.out.file(f"files/{start + i:06d}.png", png(x_hat[i]))
            total += float(mse.double().sum())
            images += len(x)
    x, x_hat = (torch.cat(part)[: task.shown] for part in zip(*shown, strict=True))
    work.out.file("reconstructions.png", grid("reconstructions", beside([x, x_hat], task.columns), enlarge=True).png)
    return {"mse": total / images}
