"""One bell fitted to a distribution with two modes: KL(p ‖ q) covers both, KL(q ‖ p) chooses one."""

import math
from pathlib import Path

import torch
from torch import Tensor

from aetrain.losses import gaussian_nll
from aetrain.pictures.figures import drawn_png, figure_of

GRID = torch.linspace(-12, 12, 1201, dtype=torch.float64)
STEP = float(GRID[1] - GRID[0])
WEIGHTS, MEANS, STD = (0.6, 0.4), (-2.0, 2.0), 0.6  # of p


def log_normal(mean: Tensor | float, std: Tensor | float) -> Tensor:
    """Of every point of the grid."""
    z = GRID.unsqueeze(1)
    return -gaussian_nll(z, torch.as_tensor(mean, dtype=z.dtype).expand_as(z), std)


def log_p() -> Tensor:
    """Two bells, a larger one on the left."""
    parts = [math.log(w) + log_normal(m, STD) for w, m in zip(WEIGHTS, MEANS, strict=True)]
    return torch.stack(parts).logsumexp(0)


def kl(log_a: Tensor, log_b: Tensor) -> Tensor:
    """KL(a ‖ b) in nats, the integral as a sum over the grid: the mean of log a/b, weighted by a."""
    return (log_a.exp() * (log_a - log_b)).sum() * STEP


def fitted(divergence: str, start: float) -> dict[str, float]:
    """Mean and std of the q that minimises the forward or the reverse KL, by descent from a mean, and the KL there."""
    p = log_p()
    parameters = torch.tensor([start, 0.0], dtype=torch.float64, requires_grad=True)  # mean, log std

    def loss() -> Tensor:
        q = log_normal(parameters[0], parameters[1].exp())
        return kl(p, q) if divergence == "forward" else kl(q, p)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer = torch.optim.LBFGS([parameters], max_iter=200, tolerance_grad=1e-9, tolerance_change=1e-14,
                                  line_search_fn="strong_wolfe")  # fmt: skip
    optimizer.step(closure)
    mean, log_std = parameters.tolist()
    return {"mean": mean, "std": math.exp(log_std), "kl": float(loss().detach())}


def missed(q: dict[str, float]) -> float:
    """The share of p that lies where q has next to nothing, more than four of its stds from its mean."""
    outside = (GRID - q["mean"]).abs() > 4 * q["std"]
    return float(log_p().exp()[outside].sum() * STEP)


FITS = {"forward KL(p ‖ q)": ("forward", 1.0), "reverse KL(q ‖ p), from the left": ("reverse", -1.0),
        "reverse KL(q ‖ p), from the right": ("reverse", 1.0)}  # fmt: skip


def picture() -> bytes:
    figure, _ = figure_of(10, 3)
    figure.clear()
    for ax, (title, how) in zip(figure.subplots(1, 3, sharey=True), FITS.items(), strict=True):
        q = fitted(*how)
        ax.fill_between(GRID, log_p().exp(), color="#cccccc", label="p")
        ax.plot(GRID, log_normal(q["mean"], q["std"]).exp(), label="q")
        ax.set(title=title, xlim=(-6, 6), xlabel=f"z\n{q['kl']:.3f} nats")
        ax.legend(frameon=False)
    return drawn_png(figure)


if __name__ == "__main__":
    for title, how in FITS.items():
        q = fitted(*how)
        print(f"{title}: q = N({q['mean']:.4f}, {q['std']:.4f}²), {q['kl']:.4f} nats, misses {missed(q):.1%} of p")
    Path("forward_and_reverse_kl.png").write_bytes(picture())
