"""task=explore: a page that shows what models have learned, and runs them."""

from __future__ import annotations

import copy
import dataclasses
import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from aetrain.config.tree import flatten, plain
from aetrain.console import CountBar
from aetrain.errors import RunFailed, UserError
from aetrain.evaluation.dimensions import dimensions
from aetrain.evaluation.scores import negative_elbo
from aetrain.evaluation.terms import split_statistics
from aetrain.explorer.contents import Images, Told, contents
from aetrain.explorer.images import Shown, shown
from aetrain.explorer.networks import Networks, networks, precision
from aetrain.explorer.page import page
from aetrain.explorer.view import MOST_AXES
from aetrain.models import Autoencoder
from aetrain.models.vae import VAE
from aetrain.tasks.asked import Asked
from aetrain.tasks.terms import terms
from aetrain.tasks.work import Work

log = logging.getLogger(__name__)

FILE = "explore.html"
MB = 1_000_000
REST = 300_000  # bytes of the page that are neither weights nor images, about
OF_IMAGES = 300_000  # bytes that a model beside others must leave for images
OF_A_MODEL = 20_000  # bytes that a model takes beside its weights
PER_NUMBER = 8 / 3  # bytes of a weight: float16, in base64
PER_PLACE = MOST_AXES * 4 * 4 / 3  # bytes of an image's place on every axis of a map
TRIED = 200  # images and codes on which the stored weights are tried
DRAWS = 8  # codes of which the −ELBO's expectation is taken, in the page as well
SCORED = 500  # images, at most, in the histogram of scores
AT_ONCE = 100  # images; a bar moves in between
LONGEST = 60  # characters of a folder's name
# Pixels of which means and scores are taken, at most: more than MNIST's test images have. Convolutions over 10,000
# colour images of 64x64 take most of a minute.
PIXELS, PIXELS_SCORED = 12_500_000, 2_500_000
# Of the configuration: whatever is none of the model's, and paths of this machine.
LEFT_OUT = ("hydra.", "model.schedule.", "optimizer.schedule.", "task.")
PATHS = ("init", "data.root", "data.path")


@dataclass
class Subject:
    """A model of the page. name: what tells it from the others."""

    work: Work
    name: str

    @cached_property
    def model(self) -> Autoencoder:
        """On the CPU."""
        return copy.deepcopy(self.work.model).cpu().float().eval()

    @cached_property
    def networks(self) -> Networks:
        return networks(self.model)

    @property
    def size(self) -> float:
        """Bytes of the page."""
        return OF_A_MODEL + PER_NUMBER * sum(p.numel() for p in self.model.parameters())


@torch.no_grad()
def run(work: Work) -> dict[str, float]:
    """explore.html. The metrics say how many images and models are in it, and how large it is."""
    split = work.split  # before the others: what is wrong with it is none of their faults
    subjects, left_out = _subjects(work)
    room = work.task.size * MB - sum(subject.size for subject in subjects) - REST
    images = shown(split, work.task.n, int(room), int(PER_PLACE * (len(subjects) - 1)))
    found: list[Told] = []
    for subject in subjects:
        try:
            found.append(_told(subject, images))
        except (UserError, RunFailed) as error:
            if work.task.run2 is not None or (subject is subjects[-1] and not found):
                raise
            log.info("left out: %s: %s", subject.name, error)
            left_out.append(subject.name)
    subjects = [subject for subject in subjects if subject.name not in left_out]
    names = work.split.names(images.index.to(work.split.labels.device))
    values, packed = contents(Images(images, names, work.classes, work.split_name), found)
    kinds = ", ".join(dict.fromkeys(told.model.config.name for told in found))
    content = page(f"{kinds} on {work.config.data.name}", _about(subjects, left_out), values, packed).encode()
    path = work.out.file(FILE, content)
    if len(content) > (size := work.task.size) * MB:
        log.info("larger than size=%g: %d models take %.1f MB, and 20 images are always there", size, len(found),
                 sum(subject.size for subject in subjects) / MB)  # fmt: skip
    log.info("open it in a browser: %s", path)
    counts = {"models": len(found), "left_out": len(left_out)} if work.asked.name else {}
    return {"images": len(images.index), "megabytes": len(content) / MB} | counts


def _subjects(work: Work) -> tuple[list[Subject], list[str]]:
    """The models that the page has room for, in their order, and the names of the others. Raises a UserError for a
    second run whose images are of another shape."""
    first = Subject(work, work.asked.name or work.config.model.name)
    chosen, left_out, pair = [first], list(work.asked.left_out), work.task.run2 is not None
    taken = first.size + REST + OF_IMAGES
    too_large: dict[str, float] = {}
    others = _seeds_last(work.asked)[1:]
    with CountBar(len(others), "runs") as bar:
        for asked in others:
            try:
                other = Subject(_beside(work, asked), asked.name)
            except UserError as error:
                if pair:
                    raise UserError(f"run2={work.task.run2}: {error}") from error
                log.info("left out: %s: %s", asked.name, error)
                left_out.append(asked.name)
            else:
                if pair or taken + other.size <= work.task.size * MB:
                    taken += other.size
                    chosen.append(other)
                else:
                    too_large[other.name] = other.size
            bar.advance()
    if too_large:
        named = "; ".join(list(too_large)[:10])
        log.info("left out for size=%g, %d of %d runs: %s; size=%d has room for all", work.task.size, len(too_large),
                 len(others) + 1, named, math.ceil((taken + sum(too_large.values())) / MB))  # fmt: skip
        left_out += too_large
    places = [id(asked) for asked in (work.asked, *work.asked.beside)]
    return sorted(chosen, key=lambda subject: places.index(id(subject.work.asked))), left_out


def _seeds_last(asked: Asked) -> list[Asked]:
    """All runs: one of each setting, in their order, then those that differ from these in their seed alone."""
    every, known, ranks = (asked, *asked.beside), Counter[str](), []
    for one in every:
        setting = repr(plain(dataclasses.replace(one.run.config, seed=0)))
        ranks.append(known[setting])
        known[setting] += 1
    return [one for _, one in sorted(zip(ranks, every, strict=True), key=lambda pair: pair[0])]


def _beside(work: Work, asked: Asked) -> Work:
    """Another run's model, on the images of the first. Raises a UserError where it cannot be given them."""
    other = Work(asked, work.out)
    shapes = [one.model.facts.image_shape for one in (work, other)]
    if tuple(shapes[0]) != tuple(shapes[1]):
        told = " and ".join("x".join(map(str, shape)) for shape in shapes)
        raise UserError(f"its images and the first run's have different shapes, {told} (channels, height, width)")
    if other.config.model.needs_labels and tuple(other.class_names) != tuple(work.classes):
        raise UserError(
            f"model={other.config.model.name} is given classes, and they are other ones than those of the first run's "
            "images; give it as run=…"
        )
    if other.config.model.needs_labels and bool((work.split.labels < 0).any()):
        raise UserError(f"model={other.config.model.name} is given the class of every image, and some have none")
    other.split, other.split_name = work.split, work.split_name  # and are not loaded again
    return other


def _told(subject: Subject, images: Shown) -> Told:
    work, model = subject.work, subject.model
    most = max(500, PIXELS // math.prod(model.facts.image_shape))
    with work.counted(work.split, "images, dimensions of the code") as split:
        known = dimensions(work.model, split, min(most, 10_000))
    codes = torch.cat([model.encode(x, y) for x, y in _portions(images)])
    tried, n = _tried(codes), min(TRIED, len(codes))
    dtype = precision(model, subject.networks, images.x[:n], tried, images.y[:n])
    scores, spread = _scores(work, model, images, most)
    part = f"first {most:,} images of the " if most < len(work.split) else ""
    return Told(
        name=subject.name,
        model=model,
        networks=subject.networks,
        dtype=dtype,
        codes=codes,
        known=known,
        scores=scores,
        spread=spread,
        terms=terms(work, most),
        terms_of=f"{part}{work.split_name} split",
        config=_config(work),
    )


def _tried(codes: Tensor) -> Tensor:
    """Codes as the page's sliders reach them: of images, each number moved by twice its spread."""
    noise = torch.randn(min(TRIED, len(codes)), codes.shape[1], generator=torch.Generator().manual_seed(0))
    return codes[: len(noise)] + 2 * codes.std(0, correction=0) * noise


def _portions(images: Shown, step: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
    """Of every step-th image, (x, y)."""
    yield from zip(images.x[::step].split(AT_ONCE), images.y[::step].split(AT_ONCE), strict=True)


def _scores(work: Work, model: Autoencoder, images: Shown, most: int) -> tuple[Tensor, list[float] | None]:
    """How badly the model explains some of the images, (S,): −ELBO in nats where it has one, else recon; and the
    spread of a Gaussian or discretized logistic likelihood."""
    statistics = split_statistics(work.model, work.split, work.batch_size, work.seed, most)
    statistics = {name: value.cpu() for name, value in statistics.items()}
    found, start = [], 0
    step = -(-len(images.x) // min(SCORED, max(100, PIXELS_SCORED // math.prod(model.facts.image_shape))))
    with CountBar(len(images.x[::step]), "images, scores") as bar, model.split_statistics(statistics):
        for x, y in _portions(images, step):
            with model.noise.fixed(work.seed, start):
                if isinstance(model, VAE):
                    found.append(negative_elbo(model, x, y, DRAWS))
                else:
                    found.append(model.reconstruction(x, model.encode(x, y), y).double())
            start += len(x)
            bar.advance(len(x))
        return torch.cat(found), spread_of(model, images.x)


def spread_of(model: Autoencoder, x: Tensor) -> list[float] | None:
    match model.config.likelihood:
        case "gaussian":
            sigma = model.sigma if model.config.sigma_mode == "fixed" else model.current_sigma(x, x)
            return sigma.flatten().tolist()
        case "discretized_logistic":
            return model.current_scale().tolist()
    return None


def _config(work: Work) -> dict[str, object]:
    """The run's, without the paths of this machine."""
    config = flatten(plain(work.config))
    return {key: value for key, value in config.items() if not key.startswith(LEFT_OUT) and key not in PATHS}


def _about(subjects: Sequence[Subject], left_out: Sequence[str]) -> list[str]:
    """Lines at the top of the page."""
    first = subjects[0]
    if (folder := first.work.asked.within) is not None:
        lines = [f"{folder.resolve().name}: {len(subjects)} runs"]
    else:
        lines = [_of_one(subject, len(subjects) > 1) for subject in subjects]
    return lines + ([f"Not in this page: {'; '.join(left_out)}"] if left_out else [])


def _of_one(subject: Subject, named: bool) -> str:
    work, parameters = subject.work, sum(p.numel() for p in subject.model.parameters())
    folder = work.asked.run.folder.resolve().name
    folder = folder if len(folder) <= LONGEST else f"{folder[: LONGEST - 1]}…"
    name = f"{subject.name}, {folder}" if named and subject.name != folder else folder
    return f"{name}: net={work.config.net.name}, {parameters:,} parameters, weights of step {work.step:,}"
