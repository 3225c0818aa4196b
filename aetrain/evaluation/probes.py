"""What simple classifiers make of the codes, beside what they make of the pixels and of PCA."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import Tensor

from aetrain.data.split import UNLABELLED, Split
from aetrain.evaluation.codes import Codes, codes
from aetrain.evaluation.neighbours import knn_accuracy
from aetrain.models import Autoencoder

log = logging.getLogger(__name__)

NEIGHBOURS = 5
TOLERANCE, ITERATIONS = 1e-3, 500  # of L-BFGS, in scikit-learn's terms
MOST = 50_000  # training images
EXACT_UP_TO = 2000  # dimensions; the time for more grows with their cube


def probes(model: Autoencoder, train: Split, test: Split, most: int = MOST) -> dict[str, dict[str, float]]:
    """{"codes": {"linear_probe": share of test images that logistic regression classifies rightly, "knn": that of the
    5 nearest neighbours}, "pixels": …, "pca": …}: of the codes (posterior means), of the images themselves and of as
    many principal components as the code has numbers. Fitted on the first `most` training images. Empty where fewer
    than two classes are labelled."""
    train_codes, test_codes = codes(model, train, most), codes(model, test)
    if len(train_codes.y[train_codes.y != UNLABELLED].unique()) < 2:
        return {}
    pixels = [Codes(_pixels(split, len(found.y)), found.y)
              for split, found in ((train, train_codes), (test, test_codes))]  # fmt: skip
    reduced = pca(pixels[0].z, pixels[1].z, components=train_codes.z.shape[1])
    spaces = {"codes": (train_codes, test_codes), "pixels": pixels,
              "pca": [Codes(z, found.y) for z, found in zip(reduced, pixels, strict=True)]}  # fmt: skip
    return {name: _probed(*map(_labelled, pair)) for name, pair in spaces.items()}


def _probed(train: Codes, test: Codes) -> dict[str, float]:
    return {
        "linear_probe": linear_probe_accuracy(train, test),
        "knn": knn_accuracy(train, test, min(NEIGHBOURS, len(train.z))),
    }


def linear_probe_accuracy(train: Codes, test: Codes) -> float:
    """The share of test points that multinomial logistic regression (scikit-learn's, C = 1) classifies rightly, fitted
    to training points. Each number of the code is first brought to mean 0 and standard deviation 1 over the training
    points; one that never changes stays 0."""
    x, unseen = (part.z.double() for part in (train, test))
    mean, std = x.mean(0), x.std(0, correction=0)
    scale = torch.where(std > 1e-12 * (1 + mean.abs()), std, torch.inf)
    x, unseen = (_numpy((part - mean) / scale) for part in (x, unseen))
    # One thread: two take longer, and ten times as long where another process keeps one of them waiting.
    with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        probe = LogisticRegression(tol=TOLERANCE, max_iter=ITERATIONS).fit(x, _numpy(train.y))
        accuracy = float(probe.score(unseen, _numpy(test.y)))
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            log.info("linear probe: still improving after %d iterations", ITERATIONS)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return accuracy


def pca(train: Tensor, test: Tensor, components: int) -> tuple[Tensor, Tensor]:
    """Training and test points, (N, D) and (M, D), in the principal components of the training points: at most as
    many as there are points and dimensions. Of more than EXACT_UP_TO dimensions they are found approximately, from a
    fixed seed (Halko et al. 2011)."""
    solver = "covariance_eigh" if train.shape[1] <= EXACT_UP_TO else "randomized"
    with threadpool_limits(1):
        fitted = PCA(min(components, *train.shape), svd_solver=solver, random_state=0).fit(_numpy(train))
    return tuple(torch.from_numpy(fitted.transform(_numpy(part))).to(part) for part in (train, test))


def _pixels(split: Split, n: int) -> Tensor:
    return torch.cat([x.flatten(1) for x, _ in split.chunks(1000, n)])


def _labelled(found: Codes) -> Codes:
    kept = found.y != UNLABELLED
    return Codes(found.z[kept], found.y[kept])


def _numpy(x: Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()
