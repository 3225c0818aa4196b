"""ONNX: a network as a graph that onnxruntime and others read without torch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import torch
from google.protobuf.message import EncodeError
from torch.export import ExportedProgram

from aetrain.errors import RunFailed

BATCH = "batch"


def translated(program: ExportedProgram, inputs: Sequence[str], output: str) -> bytes:
    """The content of an .onnx file, weights and all, with inputs and one output of these names, whose first axis is
    `batch`. Raises RunFailed for a network too large for one file."""
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning):  # torch's own use of itself
            warnings.simplefilter("ignore", kind)
        converted = torch.onnx.export(
            program, (), dynamo=True, input_names=list(inputs), output_names=[output], verbose=False
        )
    proto = converted.model_proto
    _name_batch(proto.graph)
    _without_traces(proto)
    onnx.checker.check_model(proto)
    try:
        return proto.SerializeToString()
    except (ValueError, EncodeError) as error:
        raise RunFailed("the network takes over 2 GB, more than one ONNX file holds") from error


def _name_batch(graph: onnx.GraphProto) -> None:
    """The exporter calls the dynamic axis by a number of its own."""
    symbol = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == symbol:
                dim.dim_param = BATCH


def _without_traces(proto: onnx.ModelProto) -> None:
    """Leave out where each node was traced: lines of code, with the paths of this machine."""
    del proto.metadata_props[:]
    graph = proto.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
    for function in proto.functions:
        for part in (function, *function.node):
            del part.metadata_props[:]


def run(content: bytes, *values: np.ndarray) -> np.ndarray:
    """What onnxruntime makes of its inputs, in their order: (B, …) each -> (B, …)."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [taken.name for taken in session.get_inputs()]
    return session.run(None, dict(zip(names, values, strict=True)))[0]
