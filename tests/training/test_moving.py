"""Buffers that a forward pass changes, and the latch."""

import pytest
import torch

from aetrain.device import Precision
from aetrain.training.compiled import make_compiled_step
from aetrain.training.optimizer import Fused, build_optimizer, grouped
from aetrain.training.stacking import make_stacked_step
from aetrain.training.step import Latch, make_step, moving
from tests.conftest import build, compose, longer

CPU = torch.device("cpu")
FP32 = Precision.of("fp32", CPU)
VQ = ["model=vq_vae", "net=mlp", "net.hidden=[12]", "model.latent_dim=3", "model.positions=5", "model.codebook_size=7"]
WITH_BUFFERS = [
    VQ,
    [*VQ, "model.codebook=loss"],
    ["model=sparse", "model.latent_dim=6", "model.rho_hat=ema"],
    ["model=sparse", "model.latent_dim=6", "model.penalty=topk", "model.k=1", "model.k_aux=1"],
]


def copies(buffers):
    return {name: buffer.clone() for name, buffer in buffers.items()}


def same(buffers, before):
    return all(torch.equal(buffer, before[name]) for name, buffer in buffers.items())


@pytest.mark.filterwarnings("ignore")  # of torch's compiler, about itself
@pytest.mark.parametrize("words", WITH_BUFFERS, ids=" ".join)
@pytest.mark.parametrize("kind", ["eager", longer("compiled")])
@pytest.mark.parametrize("skip", [False, True])
def test_a_bad_step_changes_no_buffer(words, kind, skip, images, monkeypatch):
    """Nor does any later one, unless bad steps are only skipped."""
    monkeypatch.setattr("aetrain.training.compiled.BACKEND", {"backend": "aot_eager"})
    net, latch = build(*words), Latch(CPU, skip=skip)
    optimizer = build_optimizer(compose().optimizer, net, traced=kind == "compiled")
    make = make_compiled_step if kind == "compiled" else make_step
    step = make(net, optimizer, FP32, None, latch)
    step(images)
    good = copies(moving(net))
    assert good
    step(images * torch.nan)
    assert same(moving(net), good)
    step(images.flip(0) * 0.5)
    assert same(moving(net), good) != skip


@pytest.mark.parametrize("words", WITH_BUFFERS, ids=" ".join)
def test_nor_does_it_in_a_stack_and_the_other_members_go_on(words, images):
    """The member whose weights are not finite stands still, the other does what it does alone."""
    nets = [build(*words), build(*words)]
    with torch.no_grad():
        next(nets[0].encoder.parameters()).fill_(torch.inf)
    params, buffers = torch.func.stack_module_state(nets)
    optimizer = Fused(compose().optimizer, *grouped(params, nets[0].groups(), [1e-3]))
    latch = Latch(CPU, members=2)
    step = make_stacked_step(nets[0], params, buffers, optimizer, FP32, None, latch)
    alone = make_step(nets[1], build_optimizer(compose().optimizer, nets[1]), FP32, None, Latch(CPU))
    names = list(moving(nets[0]))
    start = {name: buffers[name][0].clone() for name in names}
    for one in (step, alone):
        torch.manual_seed(0)
        one(images), one(images.flip(0) * 0.5)
    assert latch.rows().tolist() == [0, -1]
    assert same({name: buffers[name][0] for name in names}, start)
    for name, buffer in moving(nets[1]).items():
        torch.testing.assert_close(buffers[name][1], buffer, rtol=1e-4, atol=1e-5)
