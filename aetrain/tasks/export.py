"""task=export: the model as files that other programs read."""

from __future__ import annotations

import copy
import io

import safetensors.torch
import torch

from aetrain.console import CountBar
from aetrain.exporting import onnx, program
from aetrain.exporting.check import checked
from aetrain.exporting.networks import Decoder, Encoder, examples
from aetrain.exporting.page import page
from aetrain.tasks.work import Work

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
    images, codes = examples(model, n=7)
    halves = {"encoder": (Encoder(model), images, "image", "code"), "decoder": (Decoder(model), codes, "code", "image")}
    content: dict[str, bytes] = {}
    differences: dict[str, float] = {}
    with CountBar(4, "networks") as bar:
        for half, (network, example, takes, gives) in halves.items():
            graph = program.traced(network.eval(), example)
            name = f"{half}.pt2"
            content[name] = program.saved(graph)
            differences[name] = checked(name, network, program.loaded(content[name]), example)
            bar.advance()
            name = f"{half}.onnx"
            content[name] = translated = onnx.translated(graph, takes, gives)
            differences[name] = checked(
                name, network, lambda x, file=translated: torch.from_numpy(onnx.run(file, x.numpy())), example
            )
            bar.advance()
    content |= _weights(model)
    for name in FILES:
        work.out.file(name, content[name])
    work.out.file("export.md", page(model, FILES, differences).encode())
    return {f"difference/{name}": value for name, value in differences.items()}


def _weights(model: torch.nn.Module) -> dict[str, bytes]:
    state = {name: value.detach().clone().contiguous() for name, value in model.state_dict().items()}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return {"model.safetensors": safetensors.torch.save(state), "model.pth": buffer.getvalue()}
