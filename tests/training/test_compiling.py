"""trainer.compile=auto: only where the steps repay the compiler's time."""

import pytest
import torch

from aetrain.training import compiling
from aetrain.training.compiling import COLD, SAVED, WARM, is_compiled, keep
from tests.conftest import compose

CPU = torch.device("cpu")
AUTO = ["trainer.compile=auto", "trainer.epochs=100000"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # so that it is as before afterwards
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setattr(compiling, "compiler", lambda: "true")  # a command that is there


def steps(seconds):
    """Overrides of a run whose steps save so many seconds by being compiled."""
    return [*AUTO, f"trainer.max_steps={round(seconds / SAVED['cpu'])}"]


def test_short_runs_are_eager_and_long_ones_compiled():
    assert not is_compiled(compose(*steps(0.9 * COLD)), CPU, None)
    assert is_compiled(compose(*steps(1.1 * COLD)), CPU, None)


def test_what_torch_has_kept_costs_less(tmp_path):
    """Also for another beta, which is data of the compiled step; not for another batch size."""
    line = ["model=beta_vae", *steps(1.1 * WARM)]
    assert not is_compiled(compose(*line, "model.beta=2"), CPU, None)
    keep(compose(*line, "model.beta=2"), CPU)
    assert is_compiled(compose(*line, "model.beta=4"), CPU, None)
    assert not is_compiled(compose(*line, "trainer.batch_size=64"), CPU, None)
    assert compiling.os.environ["TORCHINDUCTOR_CACHE_DIR"].startswith(str(tmp_path))


@pytest.mark.parametrize("override", ["net=conv", "device.precision=bf16", "device.precision=fp16"])
def test_what_gains_nothing_or_cannot_be_compiled_is_eager(override, monkeypatch):
    monkeypatch.setattr("aetrain.device.cuda_device_count", lambda: 1)
    assert not is_compiled(compose(*AUTO, override), CPU, None)


def test_without_a_compiler_it_is_eager(monkeypatch):
    monkeypatch.setattr(compiling, "compiler", lambda: "no-such-compiler")
    assert not is_compiled(compose(*AUTO), CPU, None)


def test_a_resumed_run_stays_as_it_was_where_it_can(monkeypatch):
    monkeypatch.setattr("aetrain.device.cuda_device_count", lambda: 1)
    assert is_compiled(compose(*steps(0)[:1], "trainer.epochs=1"), CPU, {"compiled": True})
    assert not is_compiled(compose("trainer.compile=auto", "device.precision=fp16"), CPU, {"compiled": True})
    assert not is_compiled(compose(*AUTO), CPU, {"compiled": False})
    assert not is_compiled(compose(*AUTO), CPU, {})  # of a version that did not say
