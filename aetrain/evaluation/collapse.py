"""Whether a model gives every image the same reconstruction."""

from __future__ import annotations

import torch

from aetrain.data.split import Split
from aetrain.evaluation.terms import evaluating
from aetrain.models import Autoencoder

MOST = 1000  # images that are looked at
COLLAPSED = 0.01  # share of the images' variance under which their reconstructions count as one and the same
FEW_STEPS = 50  # before which nothing is said of what a model has learned


@torch.no_grad()
def variance_share(model: Autoencoder, split: Split, most: int = MOST) -> float:
    """Variance of the reconstructions over images, summed over pixels, as a share of the images' own: near 0 for a
    model that decodes everything to one image, most often the mean image; 1 for the identity. NaN where the images
    themselves are alike."""
    with evaluating(model):
        pairs = [(x, model.decode(model.encode(x, y), y)) for x, y in split.chunks(min(most, 250), most)]
    images, decoded = (torch.cat(part).flatten(1).double() for part in zip(*pairs, strict=True))
    variance = images.var(0, correction=0).sum()
    return float(decoded.var(0, correction=0).sum() / variance) if variance > 0 else float("nan")


def finding(model: Autoencoder, split: Split, steps: int) -> str | None:
    """What a person should know of a model that has collapsed; None of any other. steps: that it was trained for."""
    share = variance_share(model, split)
    if not share < COLLAPSED:
        return None
    told = f"every image is decoded to nearly the same one (their variance is {100 * share:.2g} % of the images' own)"
    if steps < FEW_STEPS:
        return f"after {steps} steps {told}: train longer"
    return f"{told}: the model has collapsed to the mean image; {model.after_collapse()}"
