"""Undercomplete autoencoder (Rumelhart, Hinton & Williams 1986; Hinton & Salakhutdinov 2006)."""

from __future__ import annotations

from torch import Tensor

from aetrain.models.autoencoder import Autoencoder


class AE(Autoencoder):
    """L(x) = recon(x, decode(encode(x))): the squared error ‖x − x_hat‖² or, with likelihood=bernoulli, the
    cross-entropy in nats. The code is narrower than the image; nothing else restrains it."""

    def terms(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        return self.compare(x, self.draw_code(x, y), y)

    def weights(self) -> dict[str, Tensor | float]:
        return {"recon": 1.0}
