"""How many threads a run takes; what of a GPU's runs concerns machines and processes."""

import os
import subprocess

import pytest
import torch

from aetrain.device import cpu_quota, default_threads, resolve
from aetrain.errors import UserError
from tests.conftest import PYTHON, compose


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ({}, 64),
        ({"a/b": "max 100000"}, 64),
        ({"a/b": "150000 100000", "a": "max 100000"}, 2),
        ({"a": "50000 100000"}, 1),
    ],
)
def test_a_container_s_quota_is_respected_at_every_level(tmp_path, monkeypatch, quotas, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    (tmp_path / "own").write_text("0::/a/b\n")
    for level in ("a", "a/b"):
        (tmp_path / level).mkdir()
        if (quota := quotas.get(level, "max 100000")) is not None:
            (tmp_path / level / "cpu.max").write_text(quota)
    assert cpu_quota(tmp_path, tmp_path / "own") == expected
    assert cpu_quota(tmp_path, tmp_path / "absent") == 64


def test_threads_as_given_and_by_default_no_more_than_allowed(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr("aetrain.device.cpu_quota", lambda: 2)
    try:
        torch.set_num_threads(8)
        default_threads.cache_clear()
        for given, expected in (("3", 3), ("null", 2), ("1", 1), ("null", 2)):  # one run leaves nothing to the next
            resolve(compose("device=cpu", f"device.threads={given}").device)
            assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)
        default_threads.cache_clear()


@pytest.mark.cuda
def test_a_checkpoint_of_a_gpus_run_is_read_where_there_is_none(aetrain):
    """By plain torch, as the README shows."""
    line = ["device=cuda", "net.hidden=[8]", "data.limit=300", "trainer.max_steps=12", "trainer.batch_size=20"]
    code, _, err = aetrain(*line, "hydra.run.dir=run")
    assert code == 0, err
    program = "import torch; print(torch.load('run/checkpoints/last.pt', weights_only=True)['step'])"
    done = subprocess.run([PYTHON, "-c", program], capture_output=True, text=True, check=False,
                          env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})  # fmt: skip
    assert done.stdout == "12\n", done.stderr


@pytest.mark.cuda
def test_a_process_that_has_used_a_gpu_cannot_become_deterministic(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    torch.ones(2, 2, device="cuda")
    with pytest.raises(UserError, match=r"^device\.deterministic=true: this process has used the GPU without it; set "):
        resolve(compose("device=cuda", "device.deterministic=true").device)
