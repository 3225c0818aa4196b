"""The exact posterior beside the encoder's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from aetrain.evaluation.exact import Exact
from aetrain.pictures.figures import drawn_png, plain

BLUE, GREY = "#1f77b4", "#999999"
TAIL = 1e-3  # of the exact posterior's mass, that a picture leaves out at either end
STDS = 3  # of q, that a picture has at least


def exact_posteriors(found: Sequence[Exact], mu: NDArray, logvar: NDArray, names: Sequence[str]) -> bytes:
    """For each image p(z | x) in grey, and q(z | x) in blue: as a curve, or of two dimensions as ellipses at one and
    two standard deviations. mu and logvar: (n, D)."""
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    dimensions = mu.shape[1]
    figure = Figure(figsize=(4 * columns, (2.8 if dimensions == 1 else 3.8) * rows), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for ax, one, mean, spread, name in zip(panels, found, mu, np.exp(0.5 * logvar), names, strict=False):
        if not np.isfinite(one.log_likelihood):
            ax.set_visible(False)
            continue
        (_curve if dimensions == 1 else _ellipses)(ax, one, mean, spread)
        ax.set_title(plain(f"image {name}") + f"\nlog p(x) {one.log_likelihood:.2f}, gap {one.gap:.3f}", fontsize=9)
    for ax in panels[len(found) :]:
        ax.set_visible(False)
    panels[0].legend(frameon=False, fontsize=8)
    figure.supxlabel("z" if dimensions == 1 else "z₁")
    figure.supylabel("density" if dimensions == 1 else "z₂")
    return drawn_png(figure)


def _curve(ax: Axes, one: Exact, mean: NDArray, std: NDArray) -> None:
    z, density = (part.cpu().numpy() for part in (one.axes[0], one.density))
    low, high = _shown(z, density, mean[0], std[0])
    fine = np.linspace(low, high, 400)
    ax.fill_between(z, density, color=GREY, alpha=0.5, linewidth=0, label="p(z | x)")
    normal = np.exp(-0.5 * ((fine - mean[0]) / std[0]) ** 2) / (std[0] * np.sqrt(2 * np.pi))
    ax.plot(fine, normal, color=BLUE, label="q(z | x)")
    ax.set(xlim=(low, high), ylim=(0, None))


def _ellipses(ax: Axes, one: Exact, mean: NDArray, std: NDArray) -> None:
    first, second = (axis.cpu().numpy() for axis in one.axes)
    density = one.density.cpu().numpy()
    ax.pcolormesh(first, second, density.T, cmap="Greys", shading="gouraud", rasterized=True)
    ax.plot([], [], "s", color=GREY, label="p(z | x)")
    angle = np.linspace(0, 2 * np.pi, 200)
    for stds in (1, 2):
        across, up = mean[0] + stds * std[0] * np.cos(angle), mean[1] + stds * std[1] * np.sin(angle)
        ax.plot(across, up, color=BLUE, linewidth=1.2, label="q(z | x), 1 and 2 std" if stds == 1 else None)
    ax.set(xlim=_shown(first, density.sum(1), mean[0], std[0]), ylim=_shown(second, density.sum(0), mean[1], std[1]))


def _shown(z: NDArray, density: NDArray, mean: float, std: float) -> tuple[float, float]:
    """From where to where: all but the tails of a density on the axis z, and of q."""
    mass = np.cumsum(density) / density.sum()
    low, high = z[np.searchsorted(mass, TAIL)], z[min(np.searchsorted(mass, 1 - TAIL), len(z) - 1)]
    return min(low, mean - STDS * std), max(high, mean + STDS * std)
