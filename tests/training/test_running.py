"""The compiled and the graphed step against the plain one, and what a run must not do: import what it does not need,
or wait for the device."""

import functools
import json
import subprocess
import time
from pathlib import Path

import pytest
import torch

from aetrain.data.load import load
from aetrain.data.split import Split
from aetrain.device import Precision
from aetrain.training.batches import Batches
from aetrain.training.compiled import make_compiled_step
from aetrain.training.meters import Meters
from aetrain.training.optimizer import build_optimizer
from aetrain.training.running import Graphed, eager
from aetrain.training.schedules import Scheduler
from aetrain.training.step import Latch, make_step
from tests.conftest import PYTHON, build, compose, longer

ROOT = Path(__file__).parents[2]
STEPS = 12


def split(device="cpu"):
    images = torch.randint(0, 256, (700, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Split(images, torch.arange(700) % 10).to(torch.device(device))


def train(kind: str, *overrides: str, device: str = "cpu", steps: int = STEPS, together: int = 1):
    """Parameters after so many steps, eager, compiled or as a graph, and the mean loss over each `together` of them."""
    config, where = compose(f"device={device}", "trainer.batch_size=16", *overrides), torch.device(device)
    net = build(*overrides).to(where)
    is_compiled, is_graph = "compiled" in kind, "graph" in kind
    optimizer = build_optimizer(config.optimizer, net, traced=is_compiled)
    precision = Precision.of(config.device.precision, where)
    make = make_compiled_step if is_compiled else make_step
    step = make(net, optimizer, precision, config.trainer.clip_norm, Latch(where))
    batches, meters, scheduler = Batches(split(device), 16, seed=0), Meters(), Scheduler(config, net, optimizer, steps)
    parts = (step, batches, meters, scheduler)
    run = Graphed(*parts, where) if is_graph else eager(*parts)
    torch.manual_seed(0)
    losses = []
    for first in range(0, steps, together):
        done = 0
        while done < together:
            done += run(first + done, together - done)
        losses.append(meters.read("interval")["loss"])
    return list(net.parameters()), torch.tensor(losses), run


def assert_same(one, other):
    torch.testing.assert_close(one[1], other[1], rtol=1e-5, atol=0)
    for a, b in zip(one[0], other[0], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


SCHEDULED = ["model=beta_vae", "model.schedule.beta.kind=linear", "optimizer.schedule.kind=cosine", "net=linear"]


COMPILED = [
    ["model=beta_vae", "model.schedule.beta.kind=linear", "optimizer.schedule.kind=cosine", "trainer.clip_norm=1"],
    ["model=ae", "net=linear", "optimizer=sgd"],
    ["model=dae", "optimizer=adamw", "optimizer.weight_decay=0.01"],
    ["model=sparse", "optimizer.weight_decay=0.01"],
    ["model=sparse", "model.penalty=topk", "model.k=25"],
    ["model=sparse", "model.penalty=topk", "model.k_aux=9", "model.dead_after=16"],
    ["model=sparse", "model.rho_hat=ema"],
    ["model=contractive"],
    ["model=contractive", "model.estimator=hutchinson"],
    ["model=vae", "net=conv"],
    ["model=iwae", "optimizer=sgd", "optimizer.lr=1e-5"],  # Adam divides gradients that are all rounding by themselves
    ["model=cvae"],
    ["model=beta_tcvae"],
    ["model=beta_tcvae", "prior=mixture"],
    ["model=cvae", "prior=vamp", "prior.components=9"],
    ["model=vq_vae", "net.channels=[4]"],
    ["model=vq_vae", "net=mlp", "model.codebook=loss", "model.codebook_size=16"],
    ["model=dip_vae"],
    ["model=factor_vae", "optimizer.schedule.kind=cosine", "trainer.clip_norm=1"],
    ["model=wae", "model.encoder=gaussian"],
]


@pytest.fixture(params=["traced", longer("compiled")])
def as_far_as(request, monkeypatch):
    """`traced`: all of compiling but the C++, whose compiler works for half a minute the first time on a machine."""
    if request.param == "traced":
        monkeypatch.setattr("aetrain.training.compiled.BACKEND", {"backend": "aot_eager"})


@pytest.mark.filterwarnings("ignore")  # of torch's compiler, about itself
@pytest.mark.parametrize("overrides", [COMPILED[0], *map(longer, COMPILED[1:])], ids=str)
def test_compiled_equals_eager_in_float64(as_far_as, overrides, float64):
    compiled, plain = (train(kind, *overrides, steps=3) for kind in ("compiled", "eager"))
    torch.testing.assert_close(compiled[1], plain[1], rtol=1e-12, atol=0)
    for a, b in zip(compiled[0], plain[0], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


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
def test_graph_equals_eager(overrides, monkeypatch):
    """Also ten steps at a time."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    plain = train("eager", *overrides, device="cuda", steps=40)
    assert_same(train("graph", *overrides, device="cuda", steps=40), plain)
    params, losses, _ = train("graph", *overrides, device="cuda", steps=40, together=20)
    assert_same((params, losses), (plain[0], plain[1].view(2, 20).mean(1)))


@pytest.mark.cuda
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("overrides", [*COMPILED[:1], ["model=vae", "device.precision=bf16"]])
def test_a_compiled_graph_equals_a_compiled_step(overrides):
    graph = train("compiled graph", *overrides, device="cuda", steps=40, together=20)
    plain = train("compiled", *overrides, device="cuda", steps=40, together=20)
    assert_same(graph, plain)


@pytest.mark.cuda
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("wrapper", ["eager", "graph"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_no_step_waits_for_the_device(wrapper, precision):
    _, _, run = train(wrapper, "model=beta_vae", f"device.precision={precision}", device="cuda")
    try:
        torch.cuda.set_sync_debug_mode("error")
        for number in range(STEPS, STEPS + 4):  # of an epoch whose order is there
            run(number, 1)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def made_of(step, way=None):
    """A runner of this step on the GPU, captured by default, and its meters."""
    words = ["model=ae", "net=linear"]
    config, net = compose(*words), build(*words).to("cuda")
    schedule, meters = Scheduler(config, net, build_optimizer(config.optimizer, net), STEPS), Meters()
    way = way or functools.partial(Graphed, device=torch.device("cuda"))
    return way(step, Batches(split("cuda"), 16, seed=0), meters, schedule), meters


def cannot_be_captured():
    run, _ = made_of(lambda x, y: {"loss": x.mean() * x.sum().item()})  # waits for the device
    for number in range(8):
        run(number, 1)


@pytest.mark.cuda
def test_a_step_that_cannot_be_captured_ends_the_run_in_a_line():
    """In a process of its own, whose allocator and generator are left in the middle of a capture."""
    program = "from tests.training.test_running import cannot_be_captured as run; run()"
    done = subprocess.run([PYTHON, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    line = done.stderr.strip().split("\n")[-1]
    assert line.startswith("aetrain.errors.RunFailed: trainer.cuda_graph: this step cannot be captured ("), done.stderr
    assert "previous error" not in line and line.endswith("give trainer.cuda_graph=false")


@pytest.mark.cuda
def test_the_host_is_at_most_two_replays_ahead():
    """So that a signal does not wait for all the steps up to the next log point."""
    run, _ = made_of(sleeping(5 * 10**7))  # cycles, 25 to 50 ms
    for number in range(8):
        run(number, 1)
    torch.cuda.synchronize()
    began = time.perf_counter()
    for number in range(8, 24):
        run(number, 1)
    queued = time.perf_counter() - began
    torch.cuda.synchronize()
    assert queued > 0.8 * (time.perf_counter() - began)


@pytest.mark.cuda
@pytest.mark.parametrize(("cycles", "together"), [(10**6, 10), (6 * 10**8, 1)])
def test_long_steps_are_not_put_together(cycles, together):
    run, _ = made_of(sleeping(cycles))
    assert [run(number, 20) for number in range(5)] == [1, 1, 1, 1, together]


def sleeping(cycles):
    def step(x, y):
        torch.cuda._sleep(cycles)
        return {"loss": torch.rand((), device=x.device)}

    return step


@pytest.mark.cuda
def test_what_torch_does_before_a_capture_is_done_before_the_replay(monkeypatch):
    """On the stream of the capture, which is delayed here; the step is delayed further, before it draws. Without the
    wait torch 2.11 draws the numbers of the first step again; later versions set nothing there."""
    late = 10**8  # cycles, 50 to 100 ms

    class Late(torch.cuda.CUDAGraph):
        def capture_begin(self, *args, **words):
            torch.cuda._sleep(late)
            super().capture_begin(*args, **words)

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Late)
    found = []
    for way in (eager, None):
        run, meters = made_of(sleeping(2 * late), way)
        torch.manual_seed(0)
        losses = []
        for number in range(8):
            run(number, 1)
            losses.append(meters.read("interval")["loss"])
        found.append(losses)
    assert found[0] == found[1] and len(set(found[0])) == 8


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
