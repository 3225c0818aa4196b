"""The penalty of a sparse autoencoder, KL(ρ ‖ ρ̂), over the mean activation ρ̂ of a unit."""

from pathlib import Path

import torch

from aetrain.losses import bernoulli_kl
from aetrain.pictures.figures import drawn_png, figure_of

RHO = 0.2


def curve() -> tuple[torch.Tensor, torch.Tensor]:
    """ρ̂ from 0.001 to 0.999, and the penalty in nats: (999,) each."""
    rho_hat = torch.arange(1, 1000, dtype=torch.float64) / 1000
    return rho_hat, bernoulli_kl(RHO, rho_hat)


def slope(rho_hat: float) -> float:
    """Of the penalty, by autograd: what the optimizer is given."""
    at = torch.tensor(rho_hat, dtype=torch.float64, requires_grad=True)
    return float(torch.autograd.grad(bernoulli_kl(RHO, at), at)[0])


def picture() -> bytes:
    figure, ax = figure_of(6, 4)
    ax.plot(*(column.numpy() for column in curve()))
    ax.axvline(RHO, color="#d62728", linewidth=1)
    ax.set(xlabel="average activation of a hidden unit, ρ̂", ylabel="KL(ρ ‖ ρ̂), nats", title=f"ρ = {RHO}, in red")
    ax.grid(alpha=0.2)
    return drawn_png(figure)


if __name__ == "__main__":
    rho_hat, kl = curve()
    print(f"least at ρ̂ = {float(rho_hat[kl.argmin()]):g}: {float(kl.min()):g} nats")
    for at in (0.01, 0.1, 0.2, 0.5, 0.9, 0.99):
        print(f"ρ̂ = {at:4}: KL {float(bernoulli_kl(RHO, torch.tensor(at))):.4f} nats, slope {slope(at):+.3f}")
    Path("sparsity_penalty.png").write_bytes(picture())
