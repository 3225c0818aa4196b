"""net.init: what the weights are before the first step."""

from __future__ import annotations

from torch import nn

WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def initialised(network: nn.Module, kind: str) -> nn.Module:
    """The network with the weights of its layers drawn anew; norms keep theirs.

    default: as torch has made them, uniform within ±1/√fan_in, biases too.
    glorot: uniform within ±√(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16), biases 0.
    orthogonal: rows or columns, whichever are fewer, of norm 1 and orthogonal (Saxe et al. 2014), biases 0.
    """
    if kind == "default":
        return network
    draw = {"glorot": nn.init.xavier_uniform_, "orthogonal": nn.init.orthogonal_}[kind]
    for layer in network.modules():
        if isinstance(layer, WEIGHTED):
            draw(layer.weight)
            nn.init.zeros_(layer.bias)
    return network
