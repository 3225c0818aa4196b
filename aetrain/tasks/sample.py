"""task=sample: new images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from aetrain.console import CountBar
from aetrain.errors import UserError
from aetrain.evaluation.codes import codes
from aetrain.evaluation.density import gaussian, gaussian_mixture
from aetrain.pictures.grids import picture, png, to_bytes
from aetrain.pictures.samples import CODES
from aetrain.tasks.images import Named, named
from aetrain.tasks.work import Work


@torch.no_grad()
def run(work: Work) -> dict[str, float]:
    """samples.png, with `around` the image itself first, and with `array` or `files` every sample."""
    task = work.task
    image = None if task.around is None else named(work, "around", task.around)
    draw, shown = _around(work, image) if image else _source(work), [] if image is None else [image.x[0].cpu()]
    most = task.shown + len(shown)
    with CountBar(task.n, "samples") as bar, _array(work) as add:
        for start in range(0, task.n, work.batch_size):
            stop = min(start + work.batch_size, task.n)
            with work.model.noise.fixed(work.seed, start), work.precision.autocast():
                x = work.model.decode(draw(start, stop), _labels(work, image, start, stop)).float()
            shown += list(x[: most - len(shown)].cpu())
            add(x)
            for i, one in enumerate(x if task.files else (), start):
                work.out.file(f"files/{i:06d}.png", png(one))
            bar.advance(len(x))
    work.out.file("samples.png", picture(torch.stack(shown), task.columns))
    return {}


Draw = Callable[[int, int], Tensor]  # start, stop -> the codes of samples start … stop − 1, (n, *code_shape)


def _around(work: Work, image: Named) -> Draw:
    """From the image's posterior. Raises a UserError for a model that has none."""
    mu, logvar = work.model.posterior(image.x, image.y)

    def draw(start: int, stop: int) -> Tensor:
        mean = mu.expand(stop - start, -1)
        return mean + torch.exp(0.5 * logvar) * work.model.noise.randn_like(mean)

    return draw


def _source(work: Work) -> Draw:
    """From the prior, or from a density fitted to training codes."""
    model, density = work.model, work.task.density or ("gaussian" if work.model.prior is None else "prior")
    if density == "prior":
        if model.prior is None:
            raise UserError(f"density=prior: model={model.config.name} has none; give density=gaussian or mixture")
        like = next(model.parameters())
        return lambda start, stop: model.prior.sample(stop - start, like)
    with work.said("codes of training images, and their density"):
        z = codes(model, work.splits.train, CODES).z
        fitted = gaussian(z) if density == "gaussian" else gaussian_mixture(z, work.seed)
    drawn = fitted.sample(work.task.n, work.seed).to(z).unflatten(1, model.code_shape)
    return lambda start, stop: drawn[start:stop]


def _labels(work: Work, image: Named | None, start: int, stop: int) -> Tensor:
    """For models that use them: the image's own, or every class in turn."""
    if image is not None:
        return image.y.expand(stop - start)
    return torch.arange(start, stop, device=work.where) % max(work.model.facts.n_classes, 1)


@contextmanager
def _array(work: Work) -> Iterator[Callable[[Tensor], object]]:
    """Within: takes images, (B, C, H, W), into samples.npy as they come; nowhere where that is not asked for."""
    if not work.task.array:
        yield lambda x: None
        return
    shape = (work.task.n, *work.model.facts.image_shape)
    with work.out.stream("samples.npy") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        yield lambda x: file.write(to_bytes(x).cpu().numpy().tobytes())
