"""task=inspect: what a model has learned. What a model does not have is left out."""

from __future__ import annotations

import logging
import math

import torch
from torch import Tensor

from aetrain.console import CountBar
from aetrain.evaluation.codes import codes
from aetrain.evaluation.exact import exact, fits
from aetrain.evaluation.nll import importance_nll, log_importance_mean
from aetrain.evaluation.pca import principal, projected
from aetrain.evaluation.perturbations import field, robustness, singular_values
from aetrain.evaluation.terms import evaluate, evaluating, split_statistics
from aetrain.losses import squared_error
from aetrain.models import Autoencoder
from aetrain.models.vae import ACTIVE_VARIANCE, VAE
from aetrain.nets.mlp import MLPEncoder
from aetrain.noise import mix
from aetrain.pictures import inspection
from aetrain.pictures.exact import exact_posteriors
from aetrain.pictures.grids import COLUMNS, beside, labelled, units
from aetrain.tasks.work import Work

log = logging.getLogger(__name__)

SIZES = {"small": 0.01, "finite": 0.25}  # of perturbations, standard deviations in grey levels of 1
WIDE = 0.7  # posterior std, mean over active dimensions, from which on little of the image is in the code


def run(work: Work) -> dict[str, float]:
    work.most = work.task.images
    found = of_dimensions(work)
    if work.model.has_posterior:
        found |= of_posteriors(work) | gap(work) | on_a_grid(work)
    found |= of_changes(work) | of_units(work) | beside_pca(work)
    _filters(work)
    _field(work)
    return found


def of_dimensions(work: Work) -> dict[str, float]:
    """dimensions.png."""
    model, n = work.model, work.task.images
    z = codes(model, work.split, n).z.double()
    kl, spread = None, z.std(0, correction=0)
    if model.has_posterior:
        mu, logvar = _posteriors(work, n)
        kl = model.prior.kl_per_dimension(mu, logvar).mean(0)
        spread = (mu.var(0, correction=0) + logvar.exp().mean(0)).sqrt()
    correlation = torch.atleast_2d(torch.corrcoef(z.T)).nan_to_num(0.0)
    mean = z.mean(0)
    work.out.file("dimensions.png", inspection.dimensions(
        None if kl is None else _array(kl), _array(mean), _array(spread), _array(correlation),
        None if kl is None else _prior(work)))  # fmt: skip
    off = correlation - torch.diag(correlation.diagonal())
    return {"largest_correlation": float(off.abs().max())}


def of_posteriors(work: Work) -> dict[str, float]:
    """posteriors.png, and whether they are tight: their standard deviation as a share of the prior's, the mean over
    images and active dimensions."""
    mu, logvar = _posteriors(work, work.task.images)
    std = torch.exp(0.5 * logvar)
    n = min(work.task.n, len(mu))
    work.out.file(
        "posteriors.png", inspection.posteriors(_array(mu[:n]), _array(std[:n]), work.names(0, n), _prior(work))
    )
    active = mu.var(0, correction=0) > ACTIVE_VARIANCE
    if not active.any():
        log.info("no dimension is active: every posterior is the prior; try a smaller weight on the KL")
        return {"active_units": 0.0}
    _, spread = work.model.prior.moments(mu)
    width = float((std / spread.diagonal().sqrt())[:, active].mean())
    verdict = "tight: the code says much of the image" if width < WIDE else (
        f"wide: little of the image is in the code; train longer, or {work.model.after_collapse()}")  # fmt: skip
    log.info("posteriors of the %d active dimensions: std %.3g of the prior's on average, %s",
             int(active.sum()), width, verdict)  # fmt: skip
    return {"active_units": float(active.sum()), "posterior_std": width}


def gap(work: Work) -> dict[str, float]:
    """log p(x) = ELBO + gap, in nats: of the first images, by importance sampling; the gap is KL(q ‖ the exact
    posterior), a little less where samples are few."""
    samples = work.task.nll_samples
    if not samples or not isinstance(work.model, VAE):
        return {}
    seed = mix(work.run_seed, "gap")
    with work.counted(work.split, f"images, {samples} samples") as split:
        nll = importance_nll(work.model, split, samples, seed, most=work.task.images)
    terms = evaluate(work.model, work.split, work.batch_size, seed, work.precision, most=work.task.images).terms
    return {"elbo": -terms["nelbo"], "log_likelihood": -nll, "gap": terms["nelbo"] - nll}


def on_a_grid(work: Work) -> dict[str, float]:
    """exact_posteriors.png and .csv, of codes of one or two dimensions: p(z | x) of the first images by sums over a
    grid, beside q(z | x), and the exact log p(x) = ELBO + gap in nats, means over these images. sampled_log_likelihood:
    of the same images, by importance sampling."""
    model, n = work.model, min(work.task.n, len(work.split))
    if not fits(model):
        return {}
    seed, samples = mix(work.run_seed, "grid"), work.task.nll_samples
    of_split = split_statistics(model, work.split, work.batch_size, seed, work.task.images)
    with evaluating(model), model.split_statistics(of_split), torch.no_grad():
        with CountBar(n, "images, exact posterior") as bar:
            found = []
            for x, y in work.split.chunks(1, n):
                found.append(exact(model, x, y, work.batch_size))
                bar.advance(1)
        sampled: list[float | None] = [None] * n
        if samples:
            with model.noise.fixed(seed):
                sampled = log_importance_mean(model, *work.split.first(n), samples).tolist()
    header = ["image", "log_likelihood", "elbo", "gap", "sampled_log_likelihood", "grid_error"]
    with work.out.rows("exact_posteriors.csv", header) as rows:
        for name, one, draw in zip(work.names(0, n), found, sampled, strict=True):
            rows.add([name, one.log_likelihood, one.elbo, one.gap, draw, one.error])
    mu, logvar = (_array(part) for part in _posteriors(work, n))
    work.out.file("exact_posteriors.png", exact_posteriors(found, mu, logvar, work.names(0, n)))
    means = {"exact_log_likelihood": [one.log_likelihood for one in found], "exact_elbo": [one.elbo for one in found],
             "exact_gap": [one.gap for one in found]}  # fmt: skip
    if samples:
        means["sampled_log_likelihood"] = sampled
    return {name: sum(values) / n for name, values in means.items()}


@torch.no_grad()
def beside_pca(work: Work) -> dict[str, float]:
    """pca.png, of networks with at most one hidden layer, and of points of the plane: reconstructions of the first
    images beside PCA's from as many numbers, fitted to the training images. The squared errors are means over images,
    per image."""
    model, train = work.model, work.around.train
    points, pixels = is_plane(model), math.prod(model.facts.image_shape)
    shallow = isinstance(model.encoder, MLPEncoder) and len(model.encoder.layers) <= 2
    if not (shallow or points) or len(model.code_shape) > 1 or model.code_shape[0] >= pixels or not len(train):
        return {}
    with work.said("PCA of the training images"):
        basis = principal(train, model.code_shape[0])
    n, errors, shown = 0, torch.zeros(2, dtype=torch.float64), []
    for x, y in work.split.chunks(work.batch_size, work.task.images):
        parts = [x, model.reconstruct(x, y).to(x), projected(x, *basis)]
        errors += torch.stack([squared_error(x, part).double().sum() for part in parts[1:]]).cpu()
        shown, n = shown or parts, n + len(x)
    if points:
        drawn = inspection.lines(*(_array(part.flatten(1)) for part in shown))
    else:
        drawn = labelled("pca", beside([part[:COLUMNS] for part in shown], COLUMNS), "", ["original", "model", "PCA"])
    work.out.file("pca.png", drawn if points else drawn.png)
    ours, theirs = (errors / n).tolist()
    return {"squared_error": ours, "pca_squared_error": theirs}


def of_changes(work: Work) -> dict[str, float]:
    """singular_values.png, and what small and finite changes of the pixels do to codes and reconstructions."""
    with work.said("how codes and reconstructions answer changes"):
        values = singular_values(work.model, work.split)
        work.out.file("singular_values.png", inspection.spectrum(_array(values)))
        found = {"largest_singular_value": float(values[0])}
        for name, size in SIZES.items():
            changes = robustness(work.model, work.split, size, work.seed, work.task.images)
            found |= {f"{key}_{name}": value for key, value in changes.items()}
    return found


def of_units(work: Work) -> dict[str, float]:
    """activations.png, of sparse models with penalty=kl; units.csv, the images that make each unit fire most."""
    model = work.model
    if model.config.name != "sparse":
        return {}
    z = codes(model, work.split, work.task.images).z
    rho_hat = z.double().mean(0)
    top = z.topk(min(5, len(z)), dim=0).indices.T.tolist()  # (D, 5)
    names = work.names(0, len(z))
    with work.out.rows(
        "units.csv", ["unit", "mean_activation", *(f"image_{i}" for i in range(1, len(top[0]) + 1))]
    ) as rows:
        for unit, (mean, images) in enumerate(zip(rho_hat.tolist(), top, strict=True)):
            rows.add([unit, mean, *(names[i] for i in images)])
    if model.config.penalty != "kl":
        return {}
    work.out.file("activations.png", inspection.activations(_array(rho_hat), float(model.rho)))
    return {"rho": float(model.rho), "mean_activation": float(rho_hat.mean())}


def _filters(work: Work) -> None:
    """filters.png, of encoders whose first layer sees the whole image."""
    if isinstance(work.model.encoder, MLPEncoder):
        weight = work.model.encoder.layers[0].weight
        work.out.file("filters.png", units(weight, work.model.facts.image_shape).png)


def _field(work: Work) -> None:
    """field.png, for points of the plane."""
    if not is_plane(work.model) or work.config.model.needs_labels:
        return
    x, _ = work.split.first(work.task.images)
    points, arrows = field(work.model.reconstruct, 20, x)
    work.out.file("field.png", inspection.vectors(_array(points), _array(arrows), _array(x.flatten(1))))


def is_plane(model: Autoencoder) -> bool:
    """Whether its images are points of the plane."""
    return tuple(model.facts.image_shape) == (1, 1, 2)


@torch.no_grad()
def _prior(work: Work) -> tuple:
    """Its mean and standard deviation, (D,) each."""
    mean, covariance = work.model.prior.moments(torch.empty(0, device=work.where))
    return _array(mean), _array(covariance.diagonal().sqrt())


@torch.no_grad()
def _posteriors(work: Work, n: int) -> tuple[Tensor, Tensor]:
    """mu and logvar, (n, D) each."""
    parts = [work.model.posterior(x, y) for x, y in work.split.chunks(work.batch_size, n)]
    return tuple(torch.cat(column).double() for column in zip(*parts, strict=True))


def _array(x: Tensor):
    return x.detach().cpu().double().numpy()
