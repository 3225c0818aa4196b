"""Exported networks compute what the model does, also where there is no torch."""

import re
import subprocess

import numpy as np
import pytest
import torch

from aetrain.config.tables import MODELS, NETS
from aetrain.errors import RunFailed
from aetrain.exporting import onnx, program
from aetrain.exporting.check import checked
from aetrain.exporting.networks import halves
from tests.conftest import PYTHON, build

COLOUR = (3, 9, 14)  # sides that convolutions pad and crop
USUAL = [("beta_vae", "conv", (), COLOUR), ("vq_vae", "conv", (), COLOUR)]
EVERY = [
    (model, net, ("model.tied=false",) if model == "contractive" and not NETS[net].is_dense else (), COLOUR)
    for model in sorted(MODELS)
    for net in sorted(NETS)
]
EVERY += [
    ("sparse", "mlp", ("model.penalty=topk", "model.k=3", "model.latent_dim=12"), COLOUR),
    ("contractive", "linear", ("model.tied=true",), COLOUR),
    ("ae", "mlp", ("model.likelihood=gaussian",), (1, 1, 2)),
    ("vae", "mlp", ("model.likelihood=continuous_bernoulli",), COLOUR),
    ("cvae", "conv", ("prior=vamp", "prior.components=4"), COLOUR),
]

RUN = """
import sys
sys.modules["torch"] = None
import numpy as np, onnxruntime
for name in ("encoder", "decoder"):
    session = onnxruntime.InferenceSession(f"{name}.onnx", providers=["CPUExecutionProvider"])
    takes, (gives,) = session.get_inputs(), session.get_outputs()
    told = dict(np.load(f"{name}.npz"))
    wanted = told.pop("gives")
    assert [taken.name for taken in takes] == list(told)
    assert {value.shape[0] for value in (*takes, gives)} == {"batch"}
    for n in (1, 3):
        (found,) = session.run(None, {taken: values[:n] for taken, values in told.items()})
        assert found.shape == wanted[:n].shape and found.dtype == np.float32
        assert np.abs(found - wanted[:n]).max() <= 1e-4
print("the same")
"""


def pytest_generate_tests(metafunc):
    if "model" in metafunc.fixturenames:
        cases = EVERY if metafunc.config.getoption("--exports") else USUAL
        metafunc.parametrize(("model", "net", "words", "shape"), cases)


def test_onnx_runs_without_torch(model, net, words, shape, tmp_path):
    built = build(f"model={model}", f"net={net}", *words, image_shape=shape).eval()
    for name, half in halves(built, 7).items():
        examples = half.inputs.values()
        graph = program.traced(half.network, *examples)
        content = onnx.translated(graph, list(half.inputs), half.output)
        (tmp_path / f"{name}.onnx").write_bytes(content)
        with torch.no_grad():
            gives = half.network(*examples).numpy()
        np.savez(tmp_path / f"{name}.npz", gives=gives, **{key: value.numpy() for key, value in half.inputs.items()})
        again = program.loaded(program.saved(graph))
        assert checked(name, half.network, again, *examples) <= 1e-4
        assert not re.search(rb"\.py\b", content + program.saved(graph))  # nothing of where it was made
    done = subprocess.run([PYTHON, "-c", RUN], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "the same\n", done.stderr


@pytest.mark.parametrize(
    ("exported", "told"),
    [(lambda x: 1.001 * x, "differs from the model by"), (lambda x: x[:, :1], "gives"),
     (lambda x: x * float("nan"), "differs")],
)  # fmt: skip
def test_a_network_that_computes_something_else_is_no_success(exported, told):
    with pytest.raises(RunFailed, match=told):
        checked("file", torch.nn.Identity(), exported, torch.ones(7, 2))


def test_what_cannot_be_traced_is_one_line():
    class Branch(torch.nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(RunFailed, match=r"torch\.export cannot trace") as caught:
        program.traced(Branch(), torch.ones(7, 2))
    assert "\n" not in str(caught.value)
