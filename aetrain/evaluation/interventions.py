"""Scores of disentanglement that hold one factor fixed and let the others vary.

The papers make the images for it; here they are drawn from those that are given, each of which was made from factors
drawn independently: of images with the same value of a factor, the other factors are then as they would have been made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import Tensor

BATCH = 64  # images, or pairs of them, of which a guess is made (Higgins et al. 2017; Kim & Mnih 2018)
VOTES, TEST_VOTES = 800, 800  # of FactorVAE's classifier (Kim & Mnih 2018)
PAIRS, TEST_PAIRS = 3000, 1500  # averaged differences, for β-VAE's classifier
COLLAPSED = 0.05  # a dimension with less than this share of the largest variance says nothing


def beta_vae_score(codes: Tensor, factors: Tensor, seed: int) -> float:
    """The accuracy with which a linear classifier tells which factor is the same in all of BATCH pairs of images, from
    the mean |z₁ − z₂| over the pairs (Higgins et al. 2017, section 2.2). By chance: 1 / number of factors."""
    z, draw = codes.detach().cpu().double().numpy(), Fixed(factors, seed)
    scale = z.std(0)
    z = z / np.where(scale > 0, scale, 1)

    def made(n: int) -> tuple[NDArray, NDArray]:
        fixed = draw.factor(n)
        differences = [np.abs(np.subtract(*z[draw.pairs(k, BATCH)])).mean(0) for k in fixed]
        return np.stack(differences), fixed

    (x, y), (unseen, truth) = made(PAIRS), made(TEST_PAIRS)
    if len(draw.varying) == 1:
        return 1.0
    with threadpool_limits(1):
        return float(LogisticRegression(C=100, max_iter=1000, tol=1e-3).fit(x, y).score(unseen, truth))


def factor_vae_score(codes: Tensor, factors: Tensor, seed: int) -> float:
    """The accuracy of a majority vote that tells which factor BATCH images have in common from the dimension that
    varies least among them, relative to its variance over all images (Kim & Mnih 2018, section 4). Dimensions with less
    than COLLAPSED of the largest variance are left out; in a VAE, where a used dimension has about 1, these are the
    paper's. 0 where none varies; by chance: 1 / number of factors."""
    z, draw = codes.detach().cpu().double().numpy(), Fixed(factors, seed)
    variance = z.var(0)
    used = variance > COLLAPSED * variance.max()
    if not used.any():
        return 0.0
    z, variance = z[:, used], variance[used]

    def votes(n: int) -> NDArray:
        """How often each dimension varied least while each factor was fixed: (D, F)."""
        counts = np.zeros((z.shape[1], factors.shape[1]))
        for k in draw.factor(n):
            counts[(z[draw.alike(k, BATCH)].var(0) / variance).argmin(), k] += 1
        return counts

    learned = votes(VOTES).argmax(1)  # dimension -> factor
    unseen = votes(TEST_VOTES)
    return float(unseen[np.arange(len(learned)), learned].sum() / unseen.sum())


class Fixed:
    """Draws images that have a factor's value in common. Factors that never change are not among them."""

    def __init__(self, factors: Tensor, seed: int):
        values = factors.detach().cpu().numpy()
        self.varying = [k for k in range(values.shape[1]) if np.ptp(values[:, k]) > 0]
        self._random = np.random.default_rng(seed)
        self._values = values
        self._order = np.argsort(values, axis=0, kind="stable")  # rows, alike ones side by side
        ordered = np.take_along_axis(values, self._order, axis=0)
        self._bounds = [np.searchsorted(column, np.arange(column[-1] + 2)) for column in ordered.T]

    def factor(self, n: int) -> NDArray:
        """n factors, drawn evenly."""
        return self._random.choice(self.varying, n)

    def alike(self, k: int, n: int) -> NDArray:
        """n rows that have one value of factor k, that of a random row: (n,)."""
        value = self._values[self._random.integers(len(self._values)), k]
        return self._rows(k, np.full(n, value))

    def pairs(self, k: int, n: int) -> NDArray:
        """n pairs of rows, each pair with a value of factor k in common: (2, n)."""
        values = self._values[self._random.integers(len(self._values), size=n), k]
        return np.stack([self._rows(k, values), self._rows(k, values)])

    def _rows(self, k: int, values: NDArray) -> NDArray:
        """A row with each of these values of factor k."""
        start, stop = self._bounds[k][values], self._bounds[k][values + 1]
        return self._order[self._random.integers(start, stop), k]
