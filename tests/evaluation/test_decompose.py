"""A decomposition in another process: the same numbers, and a signal does not wait for it."""

import signal
import time

import pytest
import torch

from aetrain.evaluation import decompose
from aetrain.evaluation.decompose import eigh


@pytest.fixture
def symmetric(monkeypatch):
    monkeypatch.setattr(decompose, "LARGE", 10)
    half = torch.randn(40, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return half @ half.T


def test_another_process_finds_the_same(symmetric):
    for one, other in zip(eigh(symmetric), torch.linalg.eigh(symmetric), strict=True):
        assert torch.equal(one, other)


class Arrived(BaseException):
    pass


def test_a_signal_does_not_wait_for_it(symmetric):
    def arrive(*_):
        raise Arrived

    before = signal.signal(signal.SIGALRM, arrive)
    signal.setitimer(signal.ITIMER_REAL, 0.2)  # the other process is still importing torch
    began = time.monotonic()
    try:
        with pytest.raises(Arrived):
            eigh(symmetric)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - began < 2
