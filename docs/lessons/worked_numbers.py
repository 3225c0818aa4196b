"""Every number that the text works out by hand, beside its exact value."""

import math

import torch

from aetrain.console import columns
from aetrain.losses import bernoulli_kl, gaussian_kl, gaussian_nll

TEXT = {  # what it says; of each unit the six steps to its KL
    "ρ̂ of unit 1": 0.866, "ρ̂ of unit 2": 0.096, "ρ̂ of unit 3": 0.11,
    "unit 1": (0.2309, 5.9701, -1.4663, 1.7865, -0.2933, 1.4292, 1.1359),
    "unit 2": (2.0833, 0.8849, 0.7332, -0.1223, 0.1466, -0.0978, 0.0488),
    "unit 3": (1.8182, 0.8989, 0.5978, -0.1064, 0.1196, -0.0851, 0.0345),
    "a unit with ρ̂ = 0.5": (0.4, 1.6, -0.9163, 0.4700, -0.1833, 0.3760, 0.1927),
    "−½ ln 2π": -0.9189, "(x − z)² / 2": 0.08, "log-likelihood": -0.9989, "recon": 0.9989,
    "ln σ²": -1.3863, "2 kl": 2.8863, "kl": 1.4431, "recon + kl": 2.4420,
    "variance": 7.3891, "std": 2.7183,
}  # fmt: skip
RHO = 0.2
ACTIVATIONS = torch.tensor(  # five samples, three sigmoid units
    [[0.9, 0.1, 0.05], [0.8, 0.15, 0.1], [0.85, 0.05, 0.2], [0.9, 0.1, 0.15], [0.88, 0.08, 0.05]], dtype=torch.float64
)
X, Z, MU, VARIANCE = (torch.tensor([[value]], dtype=torch.float64) for value in (2.0, 1.6, 1.5, 0.25))


def activations() -> dict[str, float]:
    """The mean activation of each unit."""
    return {f"ρ̂ of unit {i}": float(value) for i, value in enumerate(ACTIVATIONS.mean(0), 1)}


def sparsity(rho_hat: float) -> tuple[float, ...]:
    """ρ/ρ̂ and (1 − ρ)/(1 − ρ̂), their logarithms, the two summands, and the KL."""
    ratios = RHO / rho_hat, (1 - RHO) / (1 - rho_hat)
    logs = tuple(math.log(ratio) for ratio in ratios)
    kl = float(bernoulli_kl(RHO, torch.tensor(rho_hat, dtype=torch.float64)))
    return (*ratios, *logs, RHO * logs[0], (1 - RHO) * logs[1], kl)


def penalties() -> dict[str, tuple[float, ...]]:
    """Of the three units, and of one that is active half the time."""
    units = {f"unit {i}": sparsity(value) for i, value in enumerate(activations().values(), 1)}
    return units | {"a unit with ρ̂ = 0.5": sparsity(0.5)}


def vae() -> dict[str, float]:
    """x = 2, q(z | x) = N(1.5, 0.25), p(x | z) = N(z, 1), with z = 1.6 drawn."""
    constant, recon = -0.5 * math.log(2 * math.pi), float(gaussian_nll(X, Z, 1.0))
    kl = float(gaussian_kl(MU, VARIANCE.log()).sum())
    return {"−½ ln 2π": constant, "(x − z)² / 2": recon + constant, "log-likelihood": -recon, "recon": recon,
            "ln σ²": float(VARIANCE.log()), "2 kl": 2 * kl, "kl": kl, "recon + kl": recon + kl}  # fmt: skip


def vae_without_a_draw() -> dict[str, float]:
    """What the text leaves out: the mean over z of the same loss, and how far that is from −log p(x). The model is
    linear, so p(x) = N(0, 2) and the exact posterior is N(1, ½)."""
    recon = float(gaussian_nll(X, MU, 1.0) + 0.5 * VARIANCE)
    nelbo = recon + float(gaussian_kl(MU, VARIANCE.log()).sum())
    nll = float(gaussian_nll(X, torch.zeros_like(X), math.sqrt(2)))
    return {"mean recon": recon, "negative ELBO": nelbo, "−log p(x)": nll, "gap": nelbo - nll}


def std_of_logvar() -> dict[str, float]:
    """σ² and σ of log σ² = 2."""
    logvar = torch.tensor(2.0, dtype=torch.float64)
    return {"variance": float(logvar.exp()), "std": float(torch.exp(0.5 * logvar))}


def rows() -> list[tuple[str, str, str]]:
    """What, the text's value (empty: it has none), the exact value; of several values, in the text's order."""
    exact = activations() | penalties() | vae() | std_of_logvar() | vae_without_a_draw()
    return [(name, _shown(TEXT.get(name, ())), _shown(values)) for name, values in exact.items()]


def _shown(values: float | tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4f}" for value in (values if isinstance(values, tuple) else (values,)))


if __name__ == "__main__":
    print(columns(("", "text", "exact"), rows()))
