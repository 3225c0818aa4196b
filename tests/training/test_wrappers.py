"""The compiled and the graphed step against the plain one, and what a run must not do: import what it does not need,
or wait for the device."""

import json
import subprocess

import pytest
import torch

from aetrain.data.load import load
from aetrain.data.split import Split
from aetrain.device import Precision
from aetrain.errors import RunFailed
from aetrain.training.batches import Batches
from aetrain.training.optimizer import build_optimizer
from aetrain.training.schedules import Scheduler
from aetrain.training.step import Latch, make_step
from aetrain.training.wrappers import Graphed, compiled, eager
from tests.conftest import PYTHON, build, compose, longer

STEPS = 12


def split(device="cpu"):
    images = torch.randint(0, 256, (200, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Split(images, torch.arange(200) % 10).to(torch.device(device))


def traced(net):
    """`compiled` up to where C++ is written: half a minute of a processor's time for the first test on a machine."""
    return torch.compile(net, dynamic=False, fullgraph=True, backend="aot_eager")


def train(wrapper: str, *overrides: str, device: str = "cpu"):
    """Parameters after STEPS steps in a wrapper of this name, and the loss of each."""
    config, where = compose(f"device={device}", "trainer.batch_size=16", *overrides), torch.device(device)
    net = build(*overrides).to(where)
    graph = wrapper == "graph"
    optimizer = build_optimizer(config.optimizer, net)
    precision = Precision.of(config.device.precision, where)
    wrapped = {"compiled": compiled, "traced": traced}.get(wrapper, lambda net: net)(net)
    step = make_step(wrapped, optimizer, precision, 1.0, Latch(where))
    run = (Graphed if graph else eager)(step, Batches(split(device), 16, seed=0))
    scheduler = Scheduler(config, net, optimizer, STEPS)
    torch.manual_seed(0)
    losses = []
    for number in range(STEPS):
        scheduler.apply(number)
        losses.append(run(number)["loss"].clone())
    return list(net.parameters()), torch.stack(losses), run


def assert_same(one, other):
    torch.testing.assert_close(one[1], other[1], rtol=1e-5, atol=0)
    for a, b in zip(one[0], other[0], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


SCHEDULED = ["model=beta_vae", "model.schedule.beta.kind=linear", "optimizer.schedule.kind=cosine", "net=linear"]


@pytest.mark.filterwarnings("ignore")  # of torch's compiler, about itself
@pytest.mark.parametrize("wrapper", ["traced", longer("compiled")])
def test_compiled_equals_eager(wrapper):
    assert_same(train(wrapper, *SCHEDULED), train("eager", *SCHEDULED))


@pytest.mark.cuda
@pytest.mark.parametrize(
    "overrides",
    [
        SCHEDULED,
        ["model=dae"],
        ["model=sparse", "optimizer=sgd"],
        ["model=contractive"],
        ["model=vae", "net=conv"],
    ],
)
def test_graph_equals_eager(overrides):
    graphed = train("graph", *overrides, device="cuda")
    assert_same(graphed, train("eager", *overrides, device="cuda"))


@pytest.mark.cuda
@pytest.mark.parametrize("wrapper", ["eager", "graph"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_no_step_waits_for_the_device(wrapper, precision):
    _, _, run = train(wrapper, "model=beta_vae", f"device.precision={precision}", device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        for number in range(STEPS - 4, STEPS):  # of an epoch whose order is there
            run(number)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.cuda
def test_a_step_that_cannot_be_captured_ends_the_run_in_a_line():
    def step(x, y):
        return {"loss": x.mean() * x.sum().item()}  # waits for the device

    run = Graphed(step, Batches(split("cuda"), 16, seed=0))
    with pytest.raises(RunFailed, match="give trainer"):
        for number in range(8):
            run(number)


def test_without_a_gpu_a_graph_is_asked_for_in_vain_but_the_run_goes_on(small_run):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    folder = small_run("trainer.cuda_graph=true", "trainer.max_steps=2")
    assert json.loads((folder / "result.json").read_text())["status"] == "done"
    assert "cuda_graph" in (folder / "aetrain.log").read_text()


def test_a_missing_compiler_is_named_before_anything_is_written(aetrain, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    code, _, err = aetrain("trainer.compile=true")
    assert code == 2 and "no-such-compiler" in err and not list(aetrain.folder.iterdir())


def test_a_run_imports_neither_torchs_compiler_nor_torchvision(tmp_path):
    program = (
        "import sys; from aetrain.cli import main;"
        f"code = main(['hydra.run.dir={tmp_path}', 'data.limit=300', 'trainer.max_steps=2', 'device=cpu']);"
        "heavy = {'torch._dynamo', 'torch._inductor', 'sympy', 'torchvision'} & set(sys.modules);"
        "sys.exit(f'imported: {sorted(heavy)}' if heavy else code)"
    )
    done = subprocess.run([PYTHON, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_resident_data_set_is_uint8_and_one_copy():
    splits = load(compose().data, torch.device("cpu"))
    parts = [splits.train, splits.val, splits.test]
    assert {part.images.dtype for part in parts} == {torch.uint8}
    held = {part.images.untyped_storage().data_ptr(): part.images.untyped_storage().nbytes() for part in parts}
    assert sum(held.values()) == 70_000 * 784
