"""task=evaluate: what a trained model is worth."""

from __future__ import annotations

import logging
import math
from contextlib import nullcontext

import torch

from aetrain.evaluation import disentanglement
from aetrain.evaluation.by_likelihood import accuracy_by_likelihood
from aetrain.evaluation.independence import independence
from aetrain.evaluation.nll import importance_nll
from aetrain.evaluation.probes import probes
from aetrain.evaluation.quality import has_ssim, psnr, ssim
from aetrain.evaluation.response import hoyer, jacobian_norm
from aetrain.evaluation.samples import sample_accuracy
from aetrain.models.vae import VAE
from aetrain.noise import mix
from aetrain.tasks.terms import terms
from aetrain.tasks.work import Work

log = logging.getLogger(__name__)

MAIN = (
    "nelbo",
    "loss",
    "recon",
    "kl",
    "nll",
    "accuracy_by_likelihood",
    "sample_accuracy",
    "psnr_db",
    "linear_probe",
    "knn",
    "mig",
)


def run(work: Work) -> dict[str, float]:
    """Every term and diagnostic of a split, under the names that they have in TensorBoard, then the likelihood, image
    quality, and what the codes tell of labels and factors."""
    found = terms(work)
    is_finite = math.isfinite(found["loss"])
    found |= (of_all_codes(work) if is_finite else {}) | nll(work) | by_likelihood(work) | of_samples(work)
    found |= quality(work)
    if not is_finite:
        log.info("the loss is not finite: what the codes tell is left out")
    elif work.task.codes:
        found |= of_codes(work)
    if "nelbo" in found:  # the same for every beta
        work.main = tuple(name for name in MAIN if name in found and name != "loss")
    else:
        work.main = tuple(name for name in MAIN if name in found)
    work.main = tuple(f"{work.split_name}/{name}" for name in work.main)
    return {f"{work.split_name}/{name}": value for name, value in found.items()}


def of_all_codes(work: Work) -> dict[str, float]:
    """What training says of the test split beyond terms, with its noise."""
    seed = mix(work.run_seed, "evaluation", work.split_name)
    told = ["total correlation"] * work.model.has_posterior + ["MIG"] * bool(work.factors)
    with work.said(f"{' and '.join(told)} of the codes") if told else nullcontext():
        return independence(work.model, work.split, work.factors, seed)


def nll(work: Work) -> dict[str, float]:
    """−log p(x) by importance sampling, for models with a posterior and a likelihood."""
    samples = work.task.nll_samples
    if not samples or not isinstance(work.model, VAE):
        return {}
    seed = mix(work.run_seed, "importance samples", work.split_name)
    with work.counted(work.split, f"images, NLL of {samples} samples") as split:
        return {"nll": importance_nll(work.model, split, samples, seed)}


def by_likelihood(work: Work) -> dict[str, float]:
    """How often the likelihoods of a conditional model tell the class."""
    if not work.config.model.needs_labels:
        return {}
    seed = mix(work.run_seed, "likelihoods of classes", work.split_name)
    with work.counted(work.split, f"images, likelihoods of {work.model.facts.n_classes} classes") as split:
        return {"accuracy_by_likelihood": accuracy_by_likelihood(work.model, split, seed)}


def of_samples(work: Work) -> dict[str, float]:
    """Whether samples of a conditional model, of as many of each class as the split has, show what was drawn."""
    train, labels = work.around.train, work.split.labels
    labels = labels[(labels >= 0) & (labels < work.model.facts.n_classes)]
    if not work.config.model.needs_labels or work.asked.images is not None or not len(train) or not len(labels):
        return {}
    with work.said("samples of each class, judged by the training images nearest to them"):
        return {"sample_accuracy": sample_accuracy(work.model, train, labels, mix(work.run_seed, "samples"))}


@torch.no_grad()
def quality(work: Work) -> dict[str, float]:
    """Of the reconstructions from the means of the codes, and the codes' own sparsity; means over images."""
    sums: dict[str, float] = {}
    with_ssim = has_ssim(work.model.facts.image_shape)
    for x, y, _ in work.chunks(work.split):
        code = work.model.encode(x, y)
        x_hat = work.model.decode(code, y).float().clamp(0, 1)
        found = {"psnr_db": psnr(x, x_hat)} | ({"ssim": ssim(x, x_hat)} if with_ssim else {})
        found["code_sparsity"] = hoyer(code.float().flatten(1))
        for name, value in found.items():
            sums[name] = sums.get(name, 0.0) + float(value.sum(dtype=torch.float64))
    return {name: total / len(work.split) for name, total in sums.items()}


def of_codes(work: Work) -> dict[str, float]:
    """How much the codes move with the image; what classifiers make of them, beside what they make of pixels and of
    PCA; how well their numbers agree with factors that are known. No classifiers where the codes were made knowing the
    class."""
    train, found = work.around.train, {}
    if not work.config.model.is_discrete:  # whose code does not move until it jumps
        found["jacobian_norm"] = jacobian_norm(work.model, work.split)
    if work.config.model.needs_labels:
        log.info("no probes of codes that were made knowing the class: accuracy_by_likelihood says how well it is told")
    elif work.split_name in ("val", "test") and len(train):
        with work.said("probes: k nearest neighbours and logistic regression"):
            for space, accuracies in probes(work.model, train, work.split).items():
                suffix = "" if space == "codes" else f"_{space}"
                found |= {f"{name}{suffix}": value for name, value in accuracies.items()}
    if work.factors:
        with work.said("disentanglement: MIG, SAP, DCI, β-VAE and FactorVAE scores"):
            found |= disentanglement.of_model(work.model, work.split, work.factors, work.seed)
    return found
