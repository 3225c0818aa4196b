"""Independent factors q₁(z₁) q₂(z₂) fitted to a Gaussian whose dimensions are correlated (Bishop 2006, section 10.1.2):
the reverse KL makes them too narrow, the forward KL takes the marginals."""

from pathlib import Path

import torch
from torch import Tensor

from aetrain.pictures.figures import drawn_png, figure_of

CORRELATION = 0.9
COVARIANCE = torch.tensor([[1, CORRELATION], [CORRELATION, 1]], dtype=torch.float64)


def kl(a: Tensor, b: Tensor, shift: Tensor) -> float:
    """KL(N(shift, a) ‖ N(0, b)) in nats, of covariances (2, 2)."""
    spread = torch.linalg.solve(b, a).trace() + shift @ torch.linalg.solve(b, shift)
    return 0.5 * float(spread - 2 + b.logdet() - a.logdet())


def coordinate_ascent(sweeps: int) -> list[float]:
    """Each factor in turn set to the best given the other: log q₁(z₁) = E_q₂[log p(z₁, z₂)] + constant, a Gaussian of
    variance 1 / Λ₁₁ and mean −Λ₁₂ E[z₂] / Λ₁₁. From means of 2 and −1; KL(q ‖ p) after each sweep."""
    precision = COVARIANCE.inverse()
    mean = torch.tensor([2.0, -1.0], dtype=torch.float64)
    factors = torch.diag(1 / precision.diagonal())
    found = []
    for _ in range(sweeps):
        for i, j in ((0, 1), (1, 0)):
            mean[i] = -precision[i, j] * mean[j] / precision[i, i]
        found.append(kl(factors, COVARIANCE, mean))
    return found


def fits() -> dict[str, tuple[Tensor, float]]:
    """Covariance of the best factors, and the KL that is left."""
    centre = torch.zeros(2, dtype=torch.float64)
    narrow = torch.diag(1 / COVARIANCE.inverse().diagonal())
    marginal = torch.diag(COVARIANCE.diagonal())
    return {
        "reverse KL(q ‖ p)": (narrow, kl(narrow, COVARIANCE, centre)),
        "forward KL(p ‖ q)": (marginal, kl(COVARIANCE, marginal, centre)),
    }


def _ellipse(covariance: Tensor, stds: float) -> Tensor:
    angle = torch.linspace(0, 2 * torch.pi, 200, dtype=torch.float64)
    return stds * torch.linalg.cholesky(covariance) @ torch.stack([angle.cos(), angle.sin()])


def picture() -> bytes:
    figure, _ = figure_of(7, 3.6)
    figure.clear()
    for ax, (title, (q, left)) in zip(figure.subplots(1, 2, sharey=True), fits().items(), strict=True):
        for stds in (1, 2):
            ax.plot(*_ellipse(COVARIANCE, stds), color="#999999", label="p" if stds == 1 else None)
            ax.plot(*_ellipse(q, stds), color="#1f77b4", label="q₁ q₂" if stds == 1 else None)
        ax.set(title=title, xlabel=f"z₁\n{left:.3f} nats", aspect="equal")
    figure.axes[0].set_ylabel("z₂")
    figure.axes[0].legend(frameon=False, loc="lower right")
    return drawn_png(figure)


if __name__ == "__main__":
    for title, (q, left) in fits().items():
        print(f"{title}: variance {float(q[0, 0]):.2f} of p's {float(COVARIANCE[0, 0]):.2f}, {left:.4f} nats")
    print("coordinate ascent, KL after each sweep:", ", ".join(f"{left:.4f}" for left in coordinate_ascent(20)[::4]))
    Path("mean_field.png").write_bytes(picture())
