"""task=explore: a page that shows what the model has learned, and runs it."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator

import torch
from torch import Tensor

from aetrain.config.tree import flatten, plain
from aetrain.console import CountBar
from aetrain.evaluation.dimensions import dimensions
from aetrain.evaluation.scores import negative_elbo
from aetrain.evaluation.terms import split_statistics
from aetrain.explorer.contents import Told, contents
from aetrain.explorer.images import Shown, shown
from aetrain.explorer.networks import networks, precision
from aetrain.explorer.page import page
from aetrain.models import Autoencoder
from aetrain.models.vae import VAE
from aetrain.tasks.terms import terms
from aetrain.tasks.work import Work

log = logging.getLogger(__name__)

FILE = "explore.html"
MB = 1_000_000
REST = 300_000  # bytes of the page that are neither weights nor images, about
TRIED = 200  # images and codes on which the stored weights are tried
DRAWS = 8  # codes of which the −ELBO's expectation is taken, in the page as well
SCORED = 500  # images, at most, in the histogram of scores
AT_ONCE = 100  # images; a bar moves in between
LEFT_OUT = ("hydra.", "data.root", "data.path", "model.schedule", "optimizer.schedule", "task.")  # of the configuration


@torch.no_grad()
def run(work: Work) -> dict[str, float]:
    """explore.html. The metrics say how many images are in it, and how large it is."""
    model = copy.deepcopy(work.model).cpu().float().eval()
    found = networks(model)
    bytes_each = 2 * 4 / 3  # float16, in base64
    weights = bytes_each * sum(p.numel() for p in model.parameters())
    images = shown(work.split, work.task.n, int(work.task.size * MB - weights - REST))
    with work.counted(work.split, "images, dimensions of the code") as split:
        known = dimensions(work.model, split)
    codes = torch.cat([model.encode(x, y) for x, y in _portions(images)])
    dtype = precision(model, found, images.x[:TRIED], _tried(codes))
    scores, sigma = _scores(work, model, images)
    told = Told(
        names=work.split.names(images.index.to(work.split.labels.device)),
        classes=work.classes,
        split=work.split_name,
        codes=codes,
        known=known,
        scores=scores,
        sigma=sigma,
        terms=terms(work),
        config=_config(work),
        about=_about(work, model),
    )
    values, packed = contents(model, found, dtype, images, told)
    content = page(f"{model.config.name} on {work.config.data.name}", told.about, values, packed).encode()
    path = work.out.file(FILE, content)
    log.info("open it in a browser: %s", path)
    return {"images": len(images.index), "megabytes": len(content) / MB}


def _tried(codes: Tensor) -> Tensor:
    """Codes as the page's sliders reach them: of images, each number moved by twice its spread."""
    noise = torch.randn(min(TRIED, len(codes)), codes.shape[1], generator=torch.Generator().manual_seed(0))
    return codes[: len(noise)] + 2 * codes.std(0, correction=0) * noise


def _portions(images: Shown, step: int = 1) -> Iterator[tuple[Tensor, Tensor]]:
    """Of every step-th image, (x, y)."""
    yield from zip(images.x[::step].split(AT_ONCE), images.y[::step].split(AT_ONCE), strict=True)


def _scores(work: Work, model: Autoencoder, images: Shown) -> tuple[Tensor, float | None]:
    """How badly the model explains some of the images, (S,): −ELBO in nats where it has one, else recon; and the
    standard deviation of a Gaussian likelihood."""
    statistics = split_statistics(work.model, work.split, work.batch_size, work.seed)
    statistics = {name: value.cpu() for name, value in statistics.items()}
    found, start = [], 0
    step = -(-len(images.x) // SCORED)
    with CountBar(len(images.x[::step]), "images, scores") as bar, model.split_statistics(statistics):
        for x, y in _portions(images, step):
            with model.noise.fixed(work.seed, start):
                if isinstance(model, VAE):
                    found.append(negative_elbo(model, x, y, DRAWS))
                else:
                    found.append(model.reconstruction(x, model.encode(x, y), y).double())
            start += len(x)
            bar.advance(len(x))
        return torch.cat(found), _sigma(model, images.x)


def _sigma(model: Autoencoder, x: Tensor) -> float | None:
    if model.config.likelihood != "gaussian":
        return None
    return float(model.sigma if model.config.sigma_mode == "fixed" else model.current_sigma(x, x))


def _config(work: Work) -> dict[str, object]:
    """The run's, without the paths of this machine."""
    config = flatten(plain(work.config))
    return {key: value for key, value in config.items() if not key.startswith(LEFT_OUT)}


def _about(work: Work, model: Autoencoder) -> list[str]:
    parameters = sum(p.numel() for p in model.parameters())
    net = work.config.net.name
    return [
        f"{work.asked.run.folder.resolve().name}: net={net}, {parameters:,} parameters, weights of step {work.step:,}"
    ]
