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
from aetrain.evaluation.density import Positions, gaussian, gaussian_mixture
from aetrain.pictures.grids import labelled, picture, png, short, to_bytes
from aetrain.pictures.samples import CODES
from aetrain.tasks.images import Named, asked_labels, named
from aetrain.tasks.work import Work


@torch.no_grad()
def run(work: Work) -> dict[str, float]:
    """samples.png, with `around` the image itself first, and with `array` or `files` every sample."""
    task, labels = work.task, asked_labels(work)
    image = None if task.around is None else named(work, "around", task.around)
    draw, shown = _around(work, image) if image else _source(work), [] if image is None else [image.x[0].cpu()]
    most = task.shown + len(shown)
    with CountBar(task.n, "samples") as bar, _array(work) as add:
        for start in range(0, task.n, work.batch_size):
            stop = min(start + work.batch_size, task.n)
            with work.model.noise.fixed(work.seed, start), work.precision.autocast():
                x = work.model.decode(draw(start, stop), _labels(work, labels, image, start, stop)).float()
            shown += list(x[: most - len(shown)].cpu())
            add(x)
            for i, one in enumerate(x if task.files else (), start):
                work.out.file(f"files/{i:06d}.png", png(one))
            bar.advance(len(x))
    work.out.file("samples.png", _picture(work, torch.stack(shown), labels, image))
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
    model, density = work.model, work.task.density or _default_density(work)
    if density == "prior":
        if model.prior is None:
            raise UserError(f"density=prior: model={model.config.name} has none; give density={_default_density(work)}")
        like = next(model.parameters())
        return lambda start, stop: model.prior.sample(stop - start, like)
    with work.said("codes of training images, and their density"):
        z = codes(model, work.splits.train, CODES).z
        if density == "positions":
            fitted = Positions(z.unflatten(1, (model.config.latent_dim, -1)))
        else:
            fitted = gaussian(z) if density == "gaussian" else gaussian_mixture(z, work.seed)
    drawn = fitted.sample(work.task.n, work.seed).to(z).unflatten(1, model.code_shape)
    return lambda start, stop: drawn[start:stop]


def _default_density(work: Work) -> str:
    if work.model.prior is not None:
        return "prior"
    return "positions" if work.config.model.is_discrete else "gaussian"


def _labels(work: Work, labels: list[int], image: Named | None, start: int, stop: int) -> Tensor:
    """For models that use them: those requested in turn, else the image's own, else every class in turn."""
    if image is not None and not labels:
        return image.y.expand(stop - start)
    turns = torch.tensor(labels or range(max(work.model.facts.n_classes, 1)), device=work.where)
    return turns[torch.arange(start, stop, device=work.where) % len(turns)]


def _picture(work: Work, shown: Tensor, labels: list[int], image: Named | None) -> bytes:
    """A row for each class, with its name, of a model that is given classes; else all in rows."""
    names = [work.class_names[i] for i in labels] or list(work.class_names)
    if not work.config.model.needs_labels or image is not None or len(shown) < len(names):
        caption = "Decoded from random draws of codes."
        if image is not None:
            caption = "An image, and what is decoded from random draws of its posterior."
        return picture(shown, caption, work.task.columns)
    columns = min(work.task.columns, len(shown) // len(names))
    rows = shown[: columns * len(names)].unflatten(0, (columns, -1)).transpose(0, 1)
    caption = "Decoded from random draws of codes, each row with the class left of it."
    return labelled("samples", rows, caption, [short(name) for name in names]).png


@contextmanager
def _array(work: Work) -> Iterator[Callable[[Tensor], object]]:
    """Within: takes images, (B, C, H, W), into samples.npy as they come; nowhere unless requested."""
    if not work.task.array:
        yield lambda x: None
        return
    shape = (work.task.n, *work.model.facts.image_shape)
    with work.out.stream("samples.npy") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        yield lambda x: file.write(to_bytes(x).cpu().numpy().tobytes())
