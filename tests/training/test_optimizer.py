"""The fused optimizers against torch.optim, to the bit: their kernels are private operators of torch."""

import copy

import pytest
import torch

from aetrain.training import optimizer as module
from aetrain.training.optimizer import Fused, build_optimizer
from tests.conftest import build, compose

KINDS = {
    "adam": ["optimizer.weight_decay=0.01"],
    "adamw": ["optimizer.betas=[0.8,0.95]"],
    "sgd": ["optimizer.weight_decay=0.01"],
    "sgd without momentum": ["optimizer=sgd", "optimizer.momentum=0"],
}


def pair(kind: str, device: str = "cpu"):
    """(config, net, Fused over it), and the same net under torch.optim."""
    config = compose(f"optimizer={kind.split()[0]}", *KINDS[kind]).optimizer
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(30, 70), torch.nn.Tanh(), torch.nn.Linear(70, 1)).to(device)
    twin = copy.deepcopy(net)
    common = {"lr": config.lr, "weight_decay": config.weight_decay, "fused": True}
    if config.name == "sgd":
        theirs = torch.optim.SGD(twin.parameters(), momentum=config.momentum, **common)
    else:
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name]
        theirs = kind(twin.parameters(), betas=tuple(config.betas), eps=config.eps, **common)
    return net, Fused(config, {"params": list(net.parameters()), "lr": config.lr}), twin, theirs


def train(net, optimizer, steps, suppressed=()):
    """Steps on fixed batches; those in `suppressed` have a NaN gradient and found_inf = 1."""
    where = next(net.parameters()).device
    for step in steps:
        x = torch.randn(16, 30, generator=torch.Generator().manual_seed(step)).to(where)
        optimizer.zero_grad()
        loss = net(x).square().mean()
        (loss * torch.nan if step in suppressed else loss).backward()
        optimizer.found_inf = torch.tensor(float(step in suppressed), device=where)
        optimizer.step()


def assert_equal(net, twin):
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), twin.parameters(), strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_equal_to_torch_optim_to_the_bit_also_around_suppressed_steps(kind, device):
    net, ours, twin, theirs = pair(kind, device)
    train(net, ours, range(20), suppressed={5, 6})
    train(twin, theirs, range(20), suppressed={5, 6})
    assert_equal(net, twin)


@pytest.mark.parametrize("kind", KINDS)
def test_state_is_read_by_torch_optim_and_read_from_it(kind):
    net, ours, twin, theirs = pair(kind)
    train(net, ours, range(5))
    train(twin, theirs, range(5))
    state, other = copy.deepcopy(ours.state_dict()), copy.deepcopy(theirs.state_dict())
    theirs.load_state_dict(state)
    ours.load_state_dict(other)
    assert ours.param_groups[0]["lr"] == other["param_groups"][0]["lr"]
    train(net, ours, range(5, 15))
    train(twin, theirs, range(5, 15))
    assert_equal(net, twin)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_state_of_torch_optim_starts_anew(kind):
    net, ours, twin, theirs = pair(kind)
    fresh, weights = copy.deepcopy(theirs.state_dict()), copy.deepcopy(net.state_dict())
    train(net, ours, range(5))
    ours.load_state_dict(fresh)
    net.load_state_dict(weights)
    train(net, ours, range(5))
    train(twin, theirs, range(5))
    assert_equal(net, twin)


def test_a_suppressed_first_step_leaves_the_momentum_at_zero():
    net, ours, _, _ = pair("sgd")
    train(net, ours, [0], suppressed={0})
    once = copy.deepcopy(net)
    train(net, ours, [1])
    config = compose("optimizer=sgd", *KINDS["sgd"]).optimizer
    train(once, Fused(config, {"params": list(once.parameters()), "lr": config.lr}), [1])
    assert_equal(net, once)


def test_the_state_of_another_network_is_refused():
    _, ours, _, _ = pair("adam")
    state = ours.state_dict()
    for broken in ({0: {**state["state"][0], "exp_avg": torch.zeros(1)}}, {3: state["state"][3]}):
        with pytest.raises((ValueError, KeyError)):
            ours.load_state_dict({**state, "state": {**state["state"], **broken} if 0 in broken else broken})


def test_unknown_kernels_fall_back_to_torch_optim_with_a_line(monkeypatch, caplog):
    net, config = build("model=ae", "net.hidden=[9]"), compose().optimizer
    assert isinstance(build_optimizer(config, net), Fused)
    monkeypatch.setitem(module._KERNELS, "adam", ("_fused_adam_", "self, grads"))
    with caplog.at_level("INFO"):
        assert isinstance(build_optimizer(config, net), torch.optim.Adam)
    assert "torch.optim" in caplog.text
