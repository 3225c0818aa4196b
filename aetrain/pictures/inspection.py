"""Plots of what a model has learned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from aetrain.pictures.figures import drawn_png, figure_of, plain

BLUE, RED, GREY = "#1f77b4", "#d62728", "#999999"


def posteriors(mu: NDArray, std: NDArray, names: Sequence[str], prior: tuple[NDArray, NDArray]) -> bytes:
    """For each image, the mean ± one standard deviation of every dimension; the prior's in grey behind. mu and std:
    (n, D); prior: its mean and standard deviation, (D,) each."""
    columns = min(3, len(mu))
    rows = -(-len(mu) // columns)
    figure = Figure(figsize=(4.5 * columns, 2.6 * rows), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flatten()
    place = np.arange(mu.shape[1])
    for ax, mean, width, name in zip(axes, mu, std, names, strict=False):
        _band(ax, *prior)
        ax.errorbar(place, mean, yerr=width, fmt="o", markersize=3, linewidth=1, color=BLUE)
        ax.set_title(plain(f"image {name}"), fontsize=9)
    for ax in axes[len(mu) :]:
        ax.set_visible(False)
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.supxlabel("dimension of the code")
    figure.supylabel("posterior, mean ± std")
    return drawn_png(figure)


def _band(ax, mean: NDArray, std: NDArray) -> None:
    """The prior's mean ± one standard deviation, a step for each dimension."""
    edges = np.arange(len(mean) + 1) - 0.5
    low, high = (np.append(edge, edge[-1]) for edge in (mean - std, mean + std))
    ax.fill_between(edges, low, high, step="post", color=GREY, alpha=0.25, linewidth=0)


def dimensions(kl: NDArray | None, mean: NDArray, std: NDArray, correlation: NDArray,
               prior: tuple[NDArray, NDArray] | None = None) -> bytes:  # fmt: skip
    """Three plots: KL of each dimension in nats, or the variance of its code; the mean ± std of what all images' codes
    are together, against the prior's; correlations between dimensions. (D,) each, correlation: (D, D). prior: its mean
    and standard deviation, (D,) each."""
    figure = Figure(figsize=(13, 4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    first, second, third = figure.subplots(1, 3)
    place = np.arange(len(mean))
    first.bar(place, std**2 if kl is None else kl, color=BLUE)
    for ax in (first, second, third):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    third.yaxis.set_major_locator(MaxNLocator(integer=True))
    first.set(title="variance of the codes" if kl is None else "KL from the prior, in nats", xlabel="dimension")
    if prior is not None:
        _band(second, *prior)
    second.errorbar(place, mean, yerr=std, fmt="o", markersize=3, linewidth=1, color=BLUE)
    title = "codes of all images" if kl is None else "aggregate posterior, prior in grey"
    second.set(title=title, xlabel="dimension", ylabel="mean ± std")
    shown = third.imshow(correlation, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
    third.set(title="correlation of the means", xlabel="dimension", ylabel="dimension")
    figure.colorbar(shown, ax=third)
    return drawn_png(figure)


def spectrum(values: NDArray) -> bytes:
    """Singular values, falling."""
    figure, ax = figure_of(6, 4)
    ax.plot(np.arange(1, len(values) + 1), values, marker="o", markersize=3, color=BLUE)
    ax.set(title="singular values of ∂code/∂x", xlabel="number", ylabel="mean over images", ylim=(0, None))
    ax.grid(alpha=0.2)
    return drawn_png(figure)


def activations(rho_hat: NDArray, rho: float) -> bytes:
    """Each unit's mean activation on the curve KL(ρ‖ρ̂), in nats (Ng 2011)."""
    figure, ax = figure_of(6, 4)
    x = np.linspace(0.001, 0.999, 999)
    ax.plot(x, _kl(rho, x), color=GREY)
    inside = rho_hat.clip(0.001, 0.999)
    ax.plot(inside, _kl(rho, inside), "o", markersize=4, alpha=0.6, color=BLUE)
    ax.axvline(rho, color=RED, linewidth=1)
    ax.set(title=f"{len(rho_hat)} units; ρ = {rho:g} in red", xlabel="mean activation ρ̂", ylabel="KL(ρ‖ρ̂), nats")
    return drawn_png(figure)


def _kl(rho: float, rho_hat: NDArray) -> NDArray:
    return rho * np.log(rho / rho_hat) + (1 - rho) * np.log((1 - rho) / (1 - rho_hat))


def vectors(points: NDArray, arrows: NDArray, data: NDArray) -> bytes:
    """Arrows on the plane, and the data that they lead to. (N, 2) each."""
    figure, ax = figure_of(6.5, 6)
    ax.plot(*data.T, "o", markersize=1.5, color=GREY)
    ax.quiver(*points.T, *arrows.T, color=BLUE, angles="xy", scale_units="xy", scale=1, width=0.003)
    ax.set(title="reconstruction − point", aspect="equal", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    return drawn_png(figure)


def lines(data: NDArray, model: NDArray, pca: NDArray) -> bytes:
    """Points of the plane, where a model takes them, and where PCA with as many numbers does. (N, 2) each."""
    figure, ax = figure_of(6.5, 6)
    ax.plot(*data.T, "o", markersize=2, color=GREY, alpha=0.6, label="points")
    ax.plot(*pca.T, "o", markersize=2, color=RED, label="PCA")
    ax.plot(*model.T, "o", markersize=2, color=BLUE, label="model")
    ax.set(title="reconstructions", aspect="equal", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.legend(frameon=False, markerscale=3)
    return drawn_png(figure)
