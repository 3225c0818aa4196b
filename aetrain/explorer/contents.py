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

SLIDERS = 32
LONGEST = 120  # characters of a name


@dataclass(frozen=True)
class Told:
    """What was found out about a model on its images. names: of the images; classes: by label; codes: (N, D); scores:
    (S,), −ELBO or recon of some of them; sigma: of a Gaussian likelihood, else None; terms: means over the split;
    config: its keys; about: a line on where the model is from."""

    names: Sequence[str]
    classes: Sequence[str]
    split: str
    codes: Tensor
    known: Dimensions
    scores: Tensor
    sigma: float | None
    terms: Mapping[str, float]
    config: Mapping[str, Any]
    about: Sequence[str]


def contents(model: Autoencoder, networks: Networks, dtype: torch.dtype, shown: Shown,
             told: Told) -> tuple[dict[str, Any], str]:  # fmt: skip
    """The values, and the arrays that they name by number, packed. dtype: of the weights."""
    arrays = Arrays()
    order = told.known.order("variance" if told.known.kl is None else "kl")
    layout = axes(told.codes, order)
    config = model.config
    values: dict[str, Any] = {
        "model": config.name,
        "shape": list(model.facts.image_shape),
        "binary": model.facts.binary,
        "hasPosterior": model.prior is not None,
        "codeActivation": getattr(config, "code_activation", "identity"),
        "likelihood": config.likelihood,
        "sigma": told.sigma,
        "link": networks.link,
        "encoder": [_step(step, arrays, dtype) for step in networks.encoder],
        "decoder": [_step(step, arrays, dtype) for step in networks.decoder],
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
        "split": told.split,
        "images": arrays.add(shown.stored, shown.stored.dtype),
        "index": shown.index.tolist(),
        "labels": shown.y.tolist(),
        "classes": [_name(name) for name in told.classes],
        "names": [_name(name) for name in told.names],
        "scores": _finite(told.scores.tolist()),
        "corruption": _corruption(model),
        "units": asdict(firing(told.codes, order)) if config.name == "sparse" else None,
        "terms": dict(zip(told.terms, _finite(told.terms.values()), strict=True)),
        "config": {key: _value(value) for key, value in told.config.items()},
        "about": list(told.about),
    }
    values["arrays"] = arrays.table
    return values, arrays.packed()


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
