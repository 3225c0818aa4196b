"""Models in JAX, as someone would write them who wants them fast: a whole run of steps in one compiled loop, data,
weights and optimizer never leaving the device. Those of aetrain with their defaults. Needs
`pip install 'aetrain[peers]'`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from aetrain.data.split import Split

LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8
MASKED = 235  # of 784 pixels, for dae: three in ten
RHO, SPARSITY, CONTRACTION = 0.05, 4.0, 0.1

Layers = dict[str, tuple[jax.Array, jax.Array]]


class Program(NamedTuple):
    """sizes: of each layer, (inputs, outputs). loss: the mean over images, (B, 784), in nats."""

    sizes: Mapping[str, tuple[int, int]]
    loss: Callable[[Layers, jax.Array, jax.Array], jax.Array]


class State(NamedTuple):
    params: Layers
    mean: Layers  # Adam's
    square: Layers
    step: jax.Array
    loss: jax.Array  # summed over the steps so far


def initial(sizes: Mapping[str, tuple[int, int]], key: jax.Array) -> Layers:
    """torch's default: uniform within ±1/√fan_in."""
    keys = iter(random.split(key, 2 * len(sizes)))
    return {
        name: tuple(
            random.uniform(next(keys), shape, minval=-(layer[0] ** -0.5), maxval=layer[0] ** -0.5)
            for shape in (layer, layer[1:])
        )
        for name, layer in sizes.items()
    }


def linear(layer: tuple[jax.Array, jax.Array], h: jax.Array) -> jax.Array:
    weight, bias = layer
    return h @ weight + bias


def cross_entropy(logits: jax.Array, x: jax.Array) -> jax.Array:
    return (jnp.logaddexp(0.0, logits) - x * logits).sum(1)


def vae(params: Layers, x: jax.Array, key: jax.Array) -> jax.Array:
    mu, logvar = jnp.split(linear(params["code"], jax.nn.relu(linear(params["hidden"], x))), 2, axis=1)
    z = mu + jnp.exp(0.5 * logvar) * random.normal(key, mu.shape)
    logits = linear(params["image"], jax.nn.relu(linear(params["hidden_out"], z)))
    kl = 0.5 * (jnp.exp(logvar) + mu**2 - 1 - logvar).sum(1)
    return (cross_entropy(logits, x) + kl).mean()


def dae(params: Layers, x: jax.Array, key: jax.Array) -> jax.Array:
    """One order of the pixels for a batch, shifted for each image, decides which are masked."""
    one, other = random.split(key)
    order = random.permutation(one, x.shape[1])
    ranks = (order + random.randint(other, (len(x), 1), 0, x.shape[1])) % x.shape[1]
    code = linear(params["code"], jax.nn.relu(linear(params["hidden"], jnp.where(ranks < MASKED, 0.0, x))))
    x_hat = jax.nn.sigmoid(linear(params["image"], jax.nn.relu(linear(params["hidden_out"], code))))
    return ((x_hat - x) ** 2).sum(1).mean()


def sparse(params: Layers, x: jax.Array, key: jax.Array) -> jax.Array:
    code = jax.nn.sigmoid(linear(params["code"], x))
    rho_hat = code.mean(0)
    sparsity = (RHO * jnp.log(RHO / rho_hat) + (1 - RHO) * jnp.log((1 - RHO) / (1 - rho_hat))).sum()
    return ((linear(params["image"], code) - x) ** 2).sum(1).mean() + SPARSITY * sparsity


def contractive(params: Layers, x: jax.Array, key: jax.Array) -> jax.Array:
    """Tied weights; the Jacobian's norm in closed form (Rifai et al. 2011)."""
    code = jax.nn.sigmoid(linear(params["code"], x))
    weight = params["code"][0]
    logits = code @ weight.T + params["image"][1]
    contraction = (code * (1 - code)) ** 2 @ (weight**2).sum(0)
    return (cross_entropy(logits, x) + CONTRACTION * contraction).mean()


PROGRAMS = {
    "vae": Program({"hidden": (784, 400), "code": (400, 40), "hidden_out": (20, 400), "image": (400, 784)}, vae),
    "dae": Program({"hidden": (784, 400), "code": (400, 32), "hidden_out": (32, 400), "image": (400, 784)}, dae),
    "sparse": Program({"code": (784, 1024), "image": (1024, 784)}, sparse),
    "contractive": Program({"code": (784, 400), "image": (1, 784)}, contractive),  # of image the bias alone
}


def stepped(loss: Callable[..., jax.Array], state: State, x: jax.Array, key: jax.Array) -> State:
    """After one step of Adam (Kingma & Ba 2015, algorithm 1)."""
    value, gradient = jax.value_and_grad(loss)(state.params, x, key)
    step = state.step + 1
    mean = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, state.mean, gradient)
    square = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, state.square, gradient)
    first, second = 1 - BETA1**step, jnp.sqrt(1 - BETA2**step)
    params = jax.tree.map(lambda p, m, v: p - LR / first * m / (jnp.sqrt(v) / second + EPS), state.params, mean, square)
    return State(params, mean, square, step, state.loss + value)


class Jax:
    """`run(n)`: n steps of one of PROGRAMS at this batch size, in batches of an order drawn once for every epoch."""

    def __init__(self, name: str, split: Split, batch_size: int, seed: int = 0):
        self.program = PROGRAMS[name]
        self.images = jnp.asarray(split.images.flatten(1).numpy())  # uint8 (N, 784)
        self.batch_size, self.per_epoch = batch_size, len(split) // batch_size
        self.rng, self.done, self.key = np.random.default_rng(seed), 0, random.key(seed)
        params = initial(self.program.sizes, self.key)
        mean, square = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
        self.state = State(params, mean, square, jnp.zeros(()), jnp.zeros(()))
        self._loop = jax.jit(self._steps, donate_argnums=0)

    def _steps(self, state: State, order: jax.Array, first: jax.Array, count: jax.Array, key: jax.Array) -> State:
        def body(i: jax.Array, state: State) -> State:
            index = lax.dynamic_slice_in_dim(order, (first + i) * self.batch_size, self.batch_size)
            x = self.images[index].astype(jnp.float32) / 255
            return stepped(self.program.loss, state, x, random.fold_in(key, first + i))

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
