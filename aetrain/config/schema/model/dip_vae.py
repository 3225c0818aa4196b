"""DIP-VAE-II."""

from __future__ import annotations

from aetrain.config.fields import hparam
from aetrain.config.schema.model.vae import VAE
from aetrain.config.schema.schedule import scheduled


@scheduled
class DIPVAE(VAE):
    """DIP-VAE-II (Kumar et al. 2018): recon + kl + lambda_od · off_diagonal + lambda_d · diagonal, which keep the
    covariance of the aggregate posterior near the identity."""

    lambda_od: float = hparam("coefficient of off_diagonal, the sum of squared covariances of two dimensions", min=0)
    lambda_d: float = hparam("coefficient of diagonal, the sum of squared differences of the variances from 1", min=0)
