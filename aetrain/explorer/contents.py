"""What the page is told of a model, as plain values and a block of bytes. assets/model.js reads it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from aetrain.document import printable
from aetrain.evaluation.dimensions import Dimensions
from aetrain.explorer.arrays import Arrays
from aetrain.explorer.images import Shown
from aetrain.explorer.networks import Networks, Step
from aetrain.explorer.units import firing
from aetrain.explorer.view import axes
from aetrain.models import Autoencoder
from aetrain.models.vae import VAE
from aetrain.priors.prior import MixturePrior, Prior

SLIDERS = 32
LONGEST = 120  # characters of a name


@dataclass(frozen=True)
class Images:
    """What the models are shown. names: of the images; classes: by label."""

    shown: Shown
    names: Sequence[str]
    classes: Sequence[str]
    split: str


@dataclass(frozen=True)
class Told:
    """A model, and what was found out about it on its images. name: what tells it from the others; dtype: of the stored
    weights; codes: (N, D); scores: (S,), −ELBO or recon of some of them; spread: sigma
    of a Gaussian likelihood, scale of a discretized logistic one, a number or one for each channel, else None;
    terms: means over terms_of, in words; config: its keys."""

    name: str
    model: Autoencoder
    networks: Networks
    dtype: torch.dtype
    codes: Tensor
    known: Dimensions
    scores: Tensor
    spread: list[float] | None
    terms: Mapping[str, float]
    terms_of: str
    config: Mapping[str, Any]


def contents(images: Images, models: Sequence[Told]) -> tuple[dict[str, Any], str]:
    """The values, and the arrays that they name by number, packed. models: at least one, of images of one shape."""
    arrays, shown = Arrays(), images.shown
    facts = models[0].model.facts
    shared = {
        "shape": list(facts.image_shape),
        "binary": facts.binary,
        "split": images.split,
        "images": arrays.add(shown.stored, shown.stored.dtype),
        "index": shown.index.tolist(),
        "labels": shown.y.tolist(),
        "classes": [_name(name) for name in images.classes],
        "names": [_name(name) for name in images.names],
    }
    values = {"shared": shared, "models": [_model(told, arrays) for told in models], "arrays": arrays.table}
    return values, arrays.packed()


def _model(told: Told, arrays: Arrays) -> dict[str, Any]:
    model, networks = told.model, told.networks
    order = told.known.order("variance" if told.known.kl is None else "kl")
    layout = axes(told.codes, order)
    config = model.config
    return {
        "name": _name(told.name),
        "classesGiven": model.facts.n_classes if config.needs_labels else 0,
        "prior": None if model.prior is None else _prior(model.prior, arrays),
        "hasPosterior": model.has_posterior,
        "hasElbo": isinstance(model, VAE),
        "codeActivation": getattr(config, "code_activation", "identity"),
        "likelihood": config.likelihood,
        "spread": told.spread,
        "link": networks.link,
        "encoder": [_step(step, arrays, told.dtype) for step in networks.encoder],
        "decoder": [_step(step, arrays, told.dtype) for step in networks.decoder],
        "mean": _rounded(told.known.mean),
        "std": _rounded(told.known.std),
        "kl": None if told.known.kl is None else _rounded(told.known.kl),
        "order": order[:SLIDERS],
        "axes": {
            "names": layout.names,
            "directions": arrays.add(layout.directions, torch.float32),
            "offsets": _rounded(layout.offsets),
            "places": arrays.add(told.codes.float() @ layout.directions.T - layout.offsets, torch.float32),
        },
        "scores": _finite(told.scores.tolist()),
        "corruption": _corruption(model),
        "units": asdict(firing(told.codes, order)) if config.name == "sparse" else None,
        "terms": dict(zip(told.terms, _finite(told.terms.values()), strict=True)),
        "termsOf": told.terms_of,
        "config": {key: _value(value) for key, value in told.config.items()},
    }


def _prior(prior: Prior, arrays: Arrays) -> dict[str, Any]:
    mean, covariance = prior.moments(torch.empty(0))
    told: dict[str, Any] = {"mean": _rounded(mean), "std": _rounded(covariance.diagonal().sqrt()), "components": None}
    if isinstance(prior, MixturePrior):
        names = {"logWeights": "log_weights", "mu": "mu", "logvar": "logvar"}
        found = prior.components()
        told["components"] = {key: arrays.add(getattr(found, name).detach(), torch.float32)
                              for key, name in names.items()}  # fmt: skip
    return told


def _step(step: Step, arrays: Arrays, dtype: torch.dtype) -> dict[str, Any]:
    plain: dict[str, Any] = {"kind": step.kind, **step.sizes}
    for name in ("weight", "bias"):
        if (tensor := getattr(step, name)) is not None:
            plain[name] = arrays.add(tensor.detach(), dtype)
    return plain


def _rounded(values: Tensor) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]


def _finite(values: Iterable[float]) -> list[float | None]:
    """JSON has no others."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]


def _corruption(model: Autoencoder) -> dict[str, Any] | None:
    """What a model was trained to remove."""
    kind = getattr(model.config, "corruption", None)
    return None if kind is None else {"kind": kind, "level": round(float(model.corruption_level), 4)}


def _name(text: str) -> str:
    text = printable(" ".join(text.split()))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _value(value: Any) -> str:
    """As it stands in YAML, about."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return printable(str(value))[:LONGEST]
