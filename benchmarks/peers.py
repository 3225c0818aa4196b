"""The default vae in JAX, as someone would write it who wants it fast: a whole run of steps in one compiled loop, data,
weights and optimizer never leaving the device. Needs `pip install 'aetrain[peers]'`."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from aetrain.data.split import Split

SIZES = {"hidden": (784, 400), "code": (400, 40), "hidden_out": (20, 400), "image": (400, 784)}
LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8

Layers = dict[str, tuple[jax.Array, jax.Array]]


class State(NamedTuple):
    params: Layers
    mean: Layers  # Adam's
    square: Layers
    step: jax.Array
    loss: jax.Array  # summed over the steps so far


def initial(key: jax.Array) -> Layers:
    """torch's default: uniform within ±1/√fan_in."""
    keys = iter(random.split(key, 2 * len(SIZES)))
    return {
        name: tuple(
            random.uniform(next(keys), shape, minval=-(sizes[0] ** -0.5), maxval=sizes[0] ** -0.5)
            for shape in (sizes, sizes[1:])
        )
        for name, sizes in SIZES.items()
    }


def loss(params: Layers, x: jax.Array, key: jax.Array) -> jax.Array:
    """Mean −ELBO of images (B, 784), in nats."""

    def linear(name: str, h: jax.Array) -> jax.Array:
        weight, bias = params[name]
        return h @ weight + bias

    mu, logvar = jnp.split(linear("code", jax.nn.relu(linear("hidden", x))), 2, axis=1)
    z = mu + jnp.exp(0.5 * logvar) * random.normal(key, mu.shape)
    logits = linear("image", jax.nn.relu(linear("hidden_out", z)))
    recon = (jnp.logaddexp(0.0, logits) - x * logits).sum(1)
    kl = 0.5 * (jnp.exp(logvar) + mu**2 - 1 - logvar).sum(1)
    return (recon + kl).mean()


def stepped(state: State, x: jax.Array, key: jax.Array) -> State:
    """After one step of Adam (Kingma & Ba 2015, algorithm 1)."""
    value, gradient = jax.value_and_grad(loss)(state.params, x, key)
    step = state.step + 1
    mean = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, state.mean, gradient)
    square = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, state.square, gradient)
    first, second = 1 - BETA1**step, jnp.sqrt(1 - BETA2**step)
    params = jax.tree.map(lambda p, m, v: p - LR / first * m / (jnp.sqrt(v) / second + EPS), state.params, mean, square)
    return State(params, mean, square, step, state.loss + value)


class JaxVAE:
    """`run(n)`: n steps at this batch size, in batches of an order drawn once for every epoch."""

    def __init__(self, split: Split, batch_size: int, seed: int = 0):
        self.images = jnp.asarray(split.images.flatten(1).numpy())  # uint8 (N, 784)
        self.batch_size, self.per_epoch = batch_size, len(split) // batch_size
        self.rng, self.done, self.key = np.random.default_rng(seed), 0, random.key(seed)
        params = initial(self.key)
        mean, square = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
        self.state = State(params, mean, square, jnp.zeros(()), jnp.zeros(()))
        self._loop = jax.jit(self._steps, donate_argnums=0)

    def _steps(self, state: State, order: jax.Array, first: jax.Array, count: jax.Array, key: jax.Array) -> State:
        def body(i: jax.Array, state: State) -> State:
            index = lax.dynamic_slice_in_dim(order, (first + i) * self.batch_size, self.batch_size)
            x = self.images[index].astype(jnp.float32) / 255
            return stepped(state, x, random.fold_in(key, first + i))

        return lax.fori_loop(0, count, body, state)

    def run(self, steps: int) -> float:
        """Their mean loss, of which the host is told at the end."""
        self.state, end = self.state._replace(loss=jnp.zeros(())), self.done + steps
        while self.done < end:
            epoch, position = divmod(self.done, self.per_epoch)
            if position == 0 or not hasattr(self, "_order"):
                self._order = jnp.asarray(self.rng.permutation(len(self.images)).astype(np.int32))
            count = min(self.per_epoch - position, end - self.done)
            key = random.fold_in(self.key, epoch)
            self.state = self._loop(self.state, self._order, position, count, key)
            self.done += count
        return float(self.state.loss) / steps
