"""task=export: the model as files that other programs read."""

from __future__ import annotations

import copy
import io
import json
from functools import partial

import numpy as np
import safetensors.torch
import torch

from aetrain.console import CountBar
from aetrain.exporting import onnx, program
from aetrain.exporting.check import checked
from aetrain.exporting.networks import halves
from aetrain.exporting.page import page
from aetrain.priors.prior import MixturePrior
from aetrain.tasks.work import Work

CLASSES = "classes.json"
PRIOR = "prior.npz"
OF_PRIOR = {PRIOR: "the mixture from which new codes are drawn: `weights` (K), `mu` and `std` (K, code)"}
OF_CLASSES = {CLASSES: "the classes' names, by label"}
FILES = {
    "encoder.onnx": "image → code, ONNX",
    "decoder.onnx": "code → image, ONNX",
    "encoder.pt2": "image → code, torch.export",
    "decoder.pt2": "code → image, torch.export",
    "model.safetensors": "the weights, by the names of the layers",
    "model.pth": "the same, for torch.load(…, weights_only=True)",
}


def run(work: Work) -> dict[str, float]:
    """Every file is written only when it has been read back and computes what the model does. The metrics are the
    largest differences that were found."""
    model = copy.deepcopy(work.model).cpu().float().eval()
    content: dict[str, bytes] = {}
    differences: dict[str, float] = {}
    with CountBar(4, "networks") as bar:
        for word, half in halves(model, n=7).items():
            examples = half.inputs.values()
            graph = program.traced(half.network, *examples)
            name = f"{word}.pt2"
            content[name] = program.saved(graph)
            differences[name] = checked(name, half.network, program.loaded(content[name]), *examples)
            bar.advance()
            name = f"{word}.onnx"
            content[name] = onnx.translated(graph, list(half.inputs), half.output)
            differences[name] = checked(name, half.network, partial(_run, content[name]), *examples)
            bar.advance()
    content |= _weights(model)
    files = FILES
    if model.config.needs_labels:
        files = files | OF_CLASSES
        content[CLASSES] = json.dumps(work.class_names, indent=1).encode()
    if isinstance(model.prior, MixturePrior):
        files = files | OF_PRIOR
        content[PRIOR] = _prior(model.prior)
    for name in files:
        work.out.file(name, content[name])
    work.out.file("export.md", page(model, files, differences).encode())
    return {f"difference/{name}": value for name, value in differences.items()}


def _run(file: bytes, *values: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(onnx.run(file, *(value.numpy() for value in values)))


@torch.no_grad()
def _prior(prior: MixturePrior) -> bytes:
    log_weights, mu, logvar = prior.components()
    buffer = io.BytesIO()
    np.savez(buffer, weights=log_weights.exp().numpy(), mu=mu.numpy(), std=torch.exp(0.5 * logvar).numpy())
    return buffer.getvalue()


def _weights(model: torch.nn.Module) -> dict[str, bytes]:
    state = {name: value.detach().clone().contiguous() for name, value in model.state_dict().items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return {"model.safetensors": safetensors.torch.save(state), "model.pth": buffer.getvalue()}
