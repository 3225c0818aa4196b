"""task=linear: a linear model against the closed form that it must find. PCA for an AE, probabilistic PCA for a VAE."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import torch

from aetrain import device, models
from aetrain.console import table
from aetrain.data.load import load
from aetrain.data.split import Split, Splits
from aetrain.evaluation.nll import importance_nll
from aetrain.evaluation.pca import PCA, gaussian_log_likelihood, linear_elbo, place
from aetrain.evaluation.terms import evaluate
from aetrain.models import Autoencoder
from aetrain.tasks.stages import done, stage_config, stages

log = logging.getLogger(__name__)


def run(config, folder: Path, overrides: list[str], resumed: bool = False) -> None:
    """For every size of the code: the closed form's numbers, and with task.train those of a training beside them."""
    if resumed and done(config, folder) is not None:
        return
    with stages(config, folder, resumed) as stage_by_stage, stage_by_stage.writing(overrides) as metrics:
        splits = load(config.data, stage_by_stage.where)
        pca = PCA.of(splits.train)
        for k in config.task.code_sizes:
            stage = stage_config(config, latent_dim=k)
            found = closed_form(stage, splits, pca, stage_by_stage.where)
            if config.task.train:
                model, _ = stage_by_stage.train(f"k{k}", stage, splits)
                found |= against_closed_form(model, stage, splits.train, pca)
            metrics |= {f"k{k}/{name}": value for name, value in found.items()}
            log.info(table(f"k = {k}:", found))
    log.info("%s", folder)


def closed_form(config, splits: Splits, pca: PCA, where: torch.device) -> dict[str, float]:
    """The closed form's own numbers, and those that this program's evaluation gives of a model placed there, in
    float64."""
    k = config.model.latent_dim
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        if config.model.likelihood == "gaussian":
            config = stage_config(config, sigma_mode="fixed", sigma=math.sqrt(pca.noise(k)))
        model = models.build(config.model, config.net, config.prior, splits.facts()).to(where).double()
        place(model, pca)
        if model.prior is None:
            return {"pca_train": pca.minimum(k), "pca_test": _evaluated(model, config, splits.test)["recon"]}
        with torch.no_grad():
            sigma = model.sigma
            elbo = torch.cat([linear_elbo(model, sigma, x) for x, _ in splits.train.chunks(5000)]).mean()
        return {
            "ppca_log_likelihood": pca.log_likelihood(k),
            "ppca_elbo": float(elbo),
            "elbo_error": float(elbo) - pca.log_likelihood(k),
            "ppca_nll": importance_nll(model, splits.train, 64, config.seed, most=1000),
            "ppca_nll_exact": -gaussian_log_likelihood(model, float(sigma), PCA.of(splits.train, most=1000)),
            "ppca_sigma": float(sigma),
        }
    finally:
        torch.set_default_dtype(before)


def against_closed_form(model: Autoencoder, config, train: Split, pca: PCA) -> dict[str, float]:
    """A trained model's numbers on the training images, and their distance from the closed form's."""
    (k,) = model.code_shape
    terms = _evaluated(model, config, train)
    angle = {"angle_degrees": pca.angle(model.decoder.layers[0].weight.detach())}
    if model.prior is not None:
        return {"elbo": -terms["nelbo"], "gap_nats": pca.log_likelihood(k) + terms["nelbo"], **angle}
    recon, total = terms["recon"], float(pca.values.sum())
    return {
        "train_recon": recon,
        "excess_percent": 100 * (recon / pca.minimum(k) - 1),
        "captured_percent": 100 * (total - recon) / (total - pca.minimum(k)),
        **angle,
    }


def _evaluated(model, config, split: Split) -> dict[str, float]:
    precision = device.Precision.of("fp32", split.device)
    return evaluate(model, split, config.trainer.eval_batch_size, config.seed, precision).terms
