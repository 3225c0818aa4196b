"""Does each number of the code stand for one factor? Five scores of codes whose factors are known, each 1 at best and
0, or chance where that is said, for codes that hold nothing.

All take codes (N, D) and factors (N, F), which value of each factor an image was made from, of images drawn
independently. Factors are ordered, as a size or a place is, unless `categorical` names their columns. A factor that
never changes is left out. The split in which a classifier is fitted and tested, and everything else that is drawn,
depends on `seed` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import balanced_accuracy_score
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor

from aetrain.data.split import Split
from aetrain.evaluation.codes import codes as codes_of
from aetrain.evaluation.interventions import beta_vae_score, factor_vae_score
from aetrain.models import Autoencoder

BINS = 20  # of equal width, into which a code is sorted for MIG (Locatello et al. 2019)
TRAINING = 2 / 3  # of the images, on which SAP and DCI fit; the rest is for the test
MOST = 10_000  # images of a split
CATEGORICAL = ("shape", "color")  # factors whose values have no order, by name
TREES, LEAF = 40, 5  # of DCI's forests: how many, and images in a leaf at least


def of_model(model: Autoencoder, split: Split, names: Sequence[str], seed: int, most: int = MOST) -> dict[str, float]:
    """The scores of a model's codes (posterior means) of the first `most` images of a split, whose factors are called
    `names`. Empty where the factors are not known."""
    if not names:
        return {}
    z = codes_of(model, split, most).z
    factors = split.factors(torch.arange(len(z), device=split.device))
    return disentanglement(z, factors, seed, [k for k, name in enumerate(names) if name in CATEGORICAL])


def mig_of_model(model: Autoencoder, split: Split, most: int = MOST) -> dict[str, float]:
    """{"mig": …}, as `of_model` has it; empty where no factor changes."""
    z = codes_of(model, split, most).z
    factors = split.factors(torch.arange(len(z), device=split.device))
    return {"mig": mig(z, factors)} if _varying(_numpy(factors)) else {}


def disentanglement(codes: Tensor, factors: Tensor, seed: int, categorical: Sequence[int] = ()) -> dict[str, float]:
    """All five, by name. Empty where no factor changes."""
    if not _varying(_numpy(factors)):
        return {}
    scores = {"mig": mig(codes, factors), "sap": sap(codes, factors, seed, categorical)}
    scores |= {f"dci_{name}": value for name, value in dci(codes, factors, seed, categorical).items()}
    return scores | {
        "beta_vae_score": beta_vae_score(codes, factors, seed),
        "factor_vae_score": factor_vae_score(codes, factors, seed),
    }


def mig(codes: Tensor, factors: Tensor) -> float:
    """Mutual information gap (Chen et al. 2018, eq. 6): the mean over factors v of (I(z_j; v) − the next highest I(z_k;
    v)) / H(v), with j the dimension that tells most of v, each sorted into BINS bins."""
    z, v = _numpy(codes), _numpy(factors)
    binned = [_binned(column) for column in z.T]
    gaps = []
    for k in _varying(v):
        information = [_information(column, v[:, k]) for column in binned]
        best, second = np.sort([*information, 0.0])[[-1, -2]]
        gaps.append((best - second) / _information(v[:, k], v[:, k]))  # I(v; v) = H(v)
    return float(np.mean(gaps))


def sap(codes: Tensor, factors: Tensor, seed: int, categorical: Sequence[int] = ()) -> float:
    """Separated attribute predictability (Kumar et al. 2018, section 3): the mean over factors of the difference
    between the two dimensions from which, alone, it is predicted best. Of an ordered factor that is R², the squared
    correlation; of a categorical one the balanced accuracy on the test part of as many thresholds as it has values,
    less one."""
    z, v = _numpy(codes), _numpy(factors)
    fit, test = _parts(len(z), seed)
    gaps = []
    for k in _varying(v):
        values = len(np.unique(v[:, k]))

        def told(column: NDArray, k: int = k, values: int = values) -> float:
            if k not in categorical:
                return _squared_correlation(column, v[:, k])
            stump = DecisionTreeClassifier(max_leaf_nodes=values, class_weight="balanced", random_state=seed % 2**32)
            stump.fit(column[fit, None], v[fit, k])
            return float(balanced_accuracy_score(v[test, k], stump.predict(column[test, None])))

        scores = [told(column) for column in z.T]
        # Of a code of one dimension nothing else tells anything: what a constant would reach.
        best, second = np.sort([*scores, 1 / values if k in categorical else 0.0])[[-1, -2]]
        gaps.append(best - second)
    return float(np.mean(gaps))


def dci(codes: Tensor, factors: Tensor, seed: int, categorical: Sequence[int] = ()) -> dict[str, float]:
    """{"disentanglement": whether a dimension matters for one factor only, "completeness": whether one dimension is
    enough for a factor, "informativeness": whether the code tells the factors at all} (Eastwood & Williams 2018,
    section 2), from the importances R_jk of dimension j in a random forest that predicts factor k.

    With P_jk = R_jk / Σ_k R_jk and D_j = 1 − H_F(P_j·), H_F the entropy to the base of the number of factors,
    disentanglement is Σ_j ρ_j D_j, ρ_j = Σ_k R_jk / Σ R; completeness is the mean over factors of 1 − H_D(R_·k / Σ_j
    R_jk). Informativeness is here 1 − the test error over that of the best constant: squared error of an ordered
    factor, wrong guesses of a categorical one (the paper gives the error itself)."""
    z, v = _numpy(codes), _numpy(factors)
    fit, test = _parts(len(z), seed)
    importance, told = [], []
    for k in _varying(v):
        kind = RandomForestClassifier if k in categorical else RandomForestRegressor
        forest = kind(TREES, min_samples_leaf=LEAF, max_features=None, random_state=seed % 2**32, n_jobs=1)
        forest.fit(z[fit], v[fit, k])
        importance.append(forest.feature_importances_)
        error = _error(v[test, k], k in categorical)
        told.append(max(0.0, 1 - error(forest.predict(z[test])) / error(None)) if error(None) else 1.0)
    r = np.stack(importance, axis=1)  # (D, F)
    return {
        "disentanglement": float(np.average(_purity(r), weights=r.sum(1))) if r.sum() else 0.0,
        "completeness": float(np.mean(_purity(r.T))),
        "informativeness": float(np.mean(told)),
    }


def _purity(r: NDArray) -> NDArray:
    """1 − the entropy of each row's shares, to the base of their number: (A, B) -> (A,). 0 for rows of zeros, and 1
    where there is only one share."""
    total = r.sum(1, keepdims=True)
    shares = np.divide(r, total, out=np.full_like(r, 1 / r.shape[1]), where=total > 0)
    entropy = -(shares * np.log(shares, out=np.zeros_like(shares), where=shares > 0)).sum(1)
    return 1 - entropy / np.log(r.shape[1]) if r.shape[1] > 1 else np.ones(len(r))


def _error(truth: NDArray, categorical: bool) -> Callable[[NDArray | None], float]:
    """A prediction's mean error, and for None that of the best constant."""
    if categorical:
        constant = np.bincount(truth).argmax()
        return lambda guess: float(np.mean(truth != (constant if guess is None else guess)))
    return lambda guess: float(np.mean((truth - (truth.mean() if guess is None else guess)) ** 2))


def _binned(column: NDArray) -> NDArray:
    """Which of BINS bins of equal width between the least and the greatest value each lies in."""
    low, width = column.min(), np.ptp(column) / BINS
    if width == 0:
        return np.zeros(len(column), dtype=np.int64)
    return np.minimum((column - low) // width, BINS - 1).astype(np.int64)


def _information(a: NDArray, b: NDArray) -> float:
    """Mutual information of two columns of integers ≥ 0, in nats."""
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1 / len(a))
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log(joint[seen] / independent[seen])).sum())


def _squared_correlation(a: NDArray, b: NDArray) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = (a @ a) * (b @ b)
    return float((a @ b) ** 2 / scale) if scale > 1e-12 * len(a) else 0.0


def _varying(factors: NDArray) -> list[int]:
    """The columns of factors that take more than one value."""
    return [k for k in range(factors.shape[1]) if np.ptp(factors[:, k]) > 0] if len(factors) else []


def _parts(n: int, seed: int) -> tuple[NDArray, NDArray]:
    """Rows to fit on and rows to test on."""
    order = np.random.default_rng(seed).permutation(n)
    return np.split(order, [round(TRAINING * n)])


def _numpy(x: Tensor) -> NDArray:
    x = x.detach().cpu()
    return (x.double() if x.is_floating_point() else x).numpy()
