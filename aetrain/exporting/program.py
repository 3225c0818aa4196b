"""torch.export: a network as a graph that torch reads without this program."""

from __future__ import annotations

import io
import warnings

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

from aetrain.errors import RunFailed

LEFT_OUT = ("stack_trace", "source_fn_stack")
TRACED_WITH = 2  # images: of one, torch would take the batch for a constant


def traced(network: nn.Module, *examples: Tensor) -> ExportedProgram:
    """The network's graph for any batch. Raises RunFailed for one that torch cannot trace."""
    batch = Dim("batch", min=1)
    try:
        program = torch.export.export(network, tuple(example[:TRACED_WITH] for example in examples),
                                      dynamic_shapes=({0: batch},) * len(examples))  # fmt: skip
    except Exception as error:  # of many kinds, by what the network does; the reason is torch's own
        reason = " ".join(str(error).split())[:300]
        raise RunFailed(f"torch.export cannot trace this network ({type(error).__name__}: {reason})") from error
    # Where it was traced: lines of code, with the paths of this machine. What is without gradients is a graph within.
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, GraphModule) else ():
            node.meta = {key: value for key, value in node.meta.items() if key not in LEFT_OUT}
    return program


def saved(program: ExportedProgram) -> bytes:
    """The content of a .pt2 file, for torch.export.load."""
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def loaded(content: bytes) -> nn.Module:
    """What torch.export.load makes of it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given buffer is not writable")  # torch's own, in 2.11
        return torch.export.load(io.BytesIO(content)).module()
