"""task=inpaint: parts of images that are missing, filled in."""

from __future__ import annotations

import torch
from torch import Tensor

from aetrain.models import Autoencoder
from aetrain.tasks.masks import SHARE, mask_of
from aetrain.tasks.restoring import restore
from aetrain.tasks.work import Work


def run(work: Work) -> dict[str, float]:
    """inpainted.png: the images, what was left of them, and what became of it; inpainted.csv: PSNR of both for each."""
    task, model = work.task, work.model
    fixed = mask_of(task.mask, task.share, model.facts.image_shape)
    share = SHARE if task.share is None else task.share
    start = model.facts.mean_image.to(work.where)  # what missing pixels are at first: for an encoder the least odd

    def damaged(x: Tensor) -> tuple[Tensor, Tensor]:
        missing = model.noise.rand_like(x[:, :1]) < share if fixed is None else fixed.to(x.device)
        return torch.where(missing, start, x), missing

    def mended(x: Tensor, y: Tensor, missing: Tensor) -> Tensor:
        return inpaint(model, x, missing, task.steps, y, draw=task.z == "sample")

    return restore(work, "inpainted", damaged, mended, hidden=0.5)


@torch.no_grad()
def inpaint(model: Autoencoder, x: Tensor, missing: Tensor, steps: int, y: Tensor | None = None,
            draw: bool = False) -> Tensor:  # fmt: skip
    """The image with its missing pixels decoded from its own code, `steps` times, the known ones put back each
    time (Rezende et al. 2014, appendix F: for a VAE with draw=True a Markov chain whose stationary distribution is that
    of the missing given the known pixels, where q is the exact posterior). draw: z from the posterior, not its mean.
    x: (B, C, H, W), missing pixels of any value; missing: bool, broadcast to it."""
    for _ in range(steps):
        z = model.draw_code(x, y) if draw else model.encode(x, y)
        x = torch.where(missing, model.decode(z, y).to(x.dtype), x)
    return x
