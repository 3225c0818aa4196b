"""Conditional variational autoencoder (Sohn, Lee & Yan 2015)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aetrain.models.vae import VAE


class CVAE(VAE):
    """L(x, y) = recon + kl, the negative ELBO of log p(x | y): recon = −log p(x | z, y), z ~ q(z | x, y), and
    kl = KL(q(z | x, y) ‖ N(0, I)); z and y are independent before the image is seen (Kingma et al. 2014, eq. 6; Sohn
    et al. 2015 learn a prior for every y instead).

    A label is K − 1 numbers, one of them 1 for every class but the first: the biases are the first's, and with one
    class nothing is left, the model is the VAE to the bit. The decoder has them beside z. To the encoder's image they
    add one that is learned for every class: before a dense layer the same as numbers beside the pixels, W (x + V y) =
    W x + (W V) y, for any network.
    """

    def __init__(self, config, net, facts):
        super().__init__(config, net, facts)
        if self.label_size:
            self.label_images = nn.Parameter(torch.zeros(self.label_size, *facts.image_shape))

    @property
    def label_size(self) -> int:
        """Numbers that a label is: K − 1."""
        return self.facts.n_classes - 1

    @property
    def decoder_inputs(self) -> int:
        return self.config.latent_dim + self.label_size

    def label_code(self, y: Tensor | None, like: Tensor) -> Tensor:
        """Labels (B,) -> (B, K − 1) of the dtype of `like`: NaN for a label that is none of the model's, so that it
        never passes for another. Raises a UserError without labels."""
        if y is None:
            raise self._lacks("needs the images' labels: give y, (n,), numbers of classes from 0")
        numbers = torch.arange(1, self.facts.n_classes, device=like.device)
        code = (y.unsqueeze(1) == numbers).to(like.dtype)
        known = (y >= 0) & (y < self.facts.n_classes)
        return torch.where(known.unsqueeze(1), code, torch.nan)

    def encoder_output(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        self.check_images(x)
        code = self.label_code(y, x)
        if self.label_size:
            x = x + (code @ self.label_images.flatten(1)).unflatten(1, self.facts.image_shape)
        return self.encoder(x)

    def decoder_output(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.decoder(torch.cat([z, self.label_code(y, z)], dim=1))
