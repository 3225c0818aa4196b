"""Codebooks: vectors to the nearest of which an encoder's output is rounded (van den Oord et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aetrain.noise import Noise

BESIDE = 0.01  # of the outputs' standard deviation: how far from an output a code is put
LEAST_USAGE = 1e-6  # below which an average says nothing any more: nothing was averaged for long


class Codebook(nn.Module):
    """K vectors of D numbers, learned by a loss: a parameter, and what restarts have moved it by, a buffer.

    usage: how often each code was the nearest, as a multiple of an even use of all K, a moving average over steps: 1
    for each code if all are used alike. It starts at 0, so that with restarts the first step ends with the codes on
    outputs of its batch.
    """

    def __init__(self, size: int, dim: int, noise: Noise):
        super().__init__()
        self.noise = noise
        self._place(torch.empty(size, dim).uniform_(-1 / size, 1 / size))
        self.register_buffer("usage", torch.zeros(size))

    def _place(self, start: Tensor) -> None:
        self.learned = nn.Parameter(start)
        self.register_buffer("moved", torch.zeros_like(start))

    @property
    def vectors(self) -> Tensor:
        """(K, D)."""
        return self.learned + self.moved

    @torch.no_grad()
    def nearest(self, z: Tensor) -> Tensor:
        """The code with the smallest distance to each vector: (…, D) -> int64 (…)."""
        # By one product whatever the batch: torch's own choice depends on its size, which could not be traced.
        distance = torch.cdist(z.flatten(0, -2), self.vectors, compute_mode="use_mm_for_euclid_dist")
        return distance.argmin(1).view(z.shape[:-1])

    @torch.no_grad()
    def follow(self, z: Tensor, codes: Tensor, decay: Tensor, restart: Tensor) -> None:
        """After a step: what moves without a gradient, in place. z: outputs (N, D), codes: the nearest to each (N,).

        A code whose usage is below `restart` is dead. It is moved to one of these outputs, drawn at random (as by
        Dhariwal et al. 2020), and counts as evenly used from there on. Not quite to it: many outputs are equal, of a
        blank background say, and so would be the codes, between which rounding would then choose.
        """
        with torch.autocast(z.device.type, enabled=False):
            size = len(self.usage)
            chosen = (codes.unsqueeze(1) == torch.arange(size, device=z.device)).to(z.dtype)  # (N, K)
            even = len(z) / size
            _average(self.usage, chosen.sum(0) / even, decay)
            self._average(chosen.T @ z / even, decay)
            order = self.noise.rand_like(z[:, 0]).argsort()  # no output for two codes, unless there are fewer
            drawn = order[torch.arange(size, device=z.device) % len(z)]  # (K,)
            there = z[drawn]
            there = there + BESIDE * z.std(0, correction=0) * self.noise.randn_like(there)
            dead = self.usage < restart
            self._restart(dead.unsqueeze(1), there)
            self.usage.copy_(torch.where(dead, 1.0, self.usage))

    def _average(self, total: Tensor, decay: Tensor) -> None:
        """total: of the outputs of each code, (K, D), in the unit of usage."""

    def _restart(self, dead: Tensor, there: Tensor) -> None:
        """dead: (K, 1), there: (K, D)."""
        self.moved.copy_(torch.where(dead, there - self.learned, self.moved))


class AveragedCodebook(Codebook):
    """The same, learned without a gradient: each vector is the mean of the outputs that it was the nearest to, over
    steps, with weights that fall by `decay` from step to step (van den Oord et al. 2017, appendix A.1, eq. 6–8). A code
    that is used no more stays where it is."""

    def _place(self, start: Tensor) -> None:
        self.register_buffer("averages", start)
        self.register_buffer("sums", torch.zeros_like(start))

    @property
    def vectors(self) -> Tensor:
        return self.averages

    def _average(self, total: Tensor, decay: Tensor) -> None:
        _average(self.sums, total, decay)
        usage = self.usage.unsqueeze(1)
        self.averages.copy_(torch.where(usage > LEAST_USAGE, self.sums / usage, self.averages))

    def _restart(self, dead: Tensor, there: Tensor) -> None:
        for buffer in (self.averages, self.sums):
            buffer.copy_(torch.where(dead, there, buffer))


def _average(value: Tensor, new: Tensor, decay: Tensor) -> None:
    value.copy_(new + decay * (value - new))
