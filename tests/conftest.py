"""Shared fixtures: a configuration composed as the command line composes it, and runs in a folder of their own."""

from __future__ import annotations

import copy
import functools
import gc
import os
import shutil
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from aetrain import compose as composing
from aetrain import models
from aetrain.cli import check, main
from aetrain.config.schema.data import MNIST
from aetrain.data import mnist
from aetrain.data.facts import Facts
from aetrain.data.split import Split
from aetrain.sweeps.launch.composition import Composition
from tests.browser import BINARY, DRIVER, Browser

SMALL = ["data.limit=300", "trainer.batch_size=50", "trainer.log_every=2", "trainer.max_steps=6", "device=cpu"]


def irregular(path, kind):
    """Put there what is no regular file: a pipe that nobody writes into, or a link to a device."""
    path.unlink(missing_ok=True)
    os.mkfifo(path) if kind == "pipe" else path.symlink_to(os.devnull)


@contextmanager
def soon():
    """What waits within fails after ten seconds."""

    def end(*_):
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(10)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def longer(*values):
    """A parameter whose test takes its time: see --all."""
    return pytest.param(*values, marks=pytest.mark.longer)


def pytest_addoption(parser):
    parser.addoption(
        "--kills", type=int, default=0, help="kill so many real runs, over all six models (test_faults.py)"
    )
    parser.addoption("--all", action="store_true", help="also what is marked `longer`: proofs that take their time")
    parser.addoption("--exports", action="store_true", help="export every model with every network (tests/exporting)")
    parser.addoption("--mutations", type=int, default=5, help="so many hostile folders (test_hostile.py)")


def pytest_configure(config):
    # One thread: with two, on a busy machine, each waits for the other at the end of every operation.
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests were started with &


def pytest_collection_finish(session):
    """What is there before the first test stays: the garbage collector need not look at all of torch again and again,
    which took a tenth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # composing makes half a million objects that the next moment needs no more


def pytest_collection_modifyitems(config, items):
    for item in items:
        if item.get_closest_marker("cuda") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
    if not config.getoption("--all"):
        longer = [item for item in items if item.get_closest_marker("longer")]
        config.hook.pytest_deselected(items=longer)
        items[:] = [item for item in items if item not in longer]


@pytest.fixture(scope="session", autouse=True)
def environment(tmp_path_factory):
    """Unpack the data sets into a folder of these tests, not into the user's cache; let processes find the package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent.parent), prepend=os.pathsep)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    if not (BINARY and DRIVER):
        reason = "no chromium and chromedriver here (Debian: apt-get install chromium chromium-driver)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        browser.open(tmp_path_factory.mktemp("blank"))  # the browser's own first page has loaded and is left
        yield browser


@pytest.fixture
def browser(chromium):
    """With empty logs."""
    chromium.log("browser"), chromium.log("performance")
    return chromium


def compose(*overrides: str):
    """The typed configuration of a command line."""
    return copy.deepcopy(_composed(*overrides))


@functools.cache  # Hydra takes a seventh of a second, where the options of groups are new
def _composed(*overrides: str):
    return check(_composition().member(overrides), overrides)


@functools.cache
def _composition() -> Composition:
    return Composition(*composing.composed([]))


def facts(image_shape=(1, 28, 28), train_size=1000) -> Facts:
    return Facts(image_shape, train_size, torch.full(image_shape, 0.13), 10)


def build(*overrides: str, image_shape=(1, 28, 28), seed: int = 0):
    """A model as the command line would build it, in the default dtype."""
    torch.manual_seed(seed)
    config = compose(*overrides)
    return models.build(config.model, config.net, config.prior, facts(image_shape))


def unlabelled(images: torch.Tensor) -> Split:
    """A split of images whose labels are all 0."""
    return Split(images, torch.zeros(len(images), dtype=torch.int64))


@pytest.fixture
def images():
    """(64, 1, 28, 28) in [0, 1], with edges at exactly 0 and 1 as in MNIST."""
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(64, 1, 28, 28, generator=generator) * 2 - 0.5).clamp(0, 1)


@pytest.fixture
def labels():
    """Of `images`: every class in turn."""
    return torch.arange(64) % 10


@pytest.fixture
def float64():
    """Within the test, torch computes in float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


_read = mnist.load


@functools.cache  # a quarter of a small run's time is reading and checking the files
def _parts(root):
    return _read(MNIST(name="mnist", root=root))


def _read_once(config):
    return _parts(config.root)


@pytest.fixture
def aetrain(tmp_path, monkeypatch, capfd):
    """Run a command line in an empty folder; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mnist, "load", _read_once)

    def run(*argv: str):
        code = main(list(argv))
        out, err = capfd.readouterr()
        return code, out, err

    run.folder = tmp_path
    return run


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Run a command line, the first time that it is asked for; returns the folder of its run or sweep, to be read."""
    folders = {}

    def run(*argv: str) -> Path:
        if argv not in folders:
            folder = tmp_path_factory.mktemp("once") / "run"
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder.parent)
                patch.setattr(mnist, "load", _read_once)
                assert main([*argv, f"hydra.{'sweep' if '-m' in argv else 'run'}.dir=run"]) == 0
            folders[argv] = folder
        return folders[argv]

    return run


@pytest.fixture
def done(aetrain, once, capfd):
    """A copy of what a command line leaves that has run to its end, in a folder of this name."""

    def copy(*argv: str, to: str = "run") -> Path:
        shutil.copytree(once(*argv), aetrain.folder / to)
        capfd.readouterr()
        return aetrain.folder / to

    return copy


@pytest.fixture
def hung_up():
    """SIGHUP is heard, also where the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def small_run(aetrain):
    """Run a small training; returns its folder."""

    def run(*argv: str, folder: str = "run") -> Path:
        code, _out, err = aetrain(*SMALL, f"hydra.run.dir={folder}", *argv)
        assert code == 0, err
        return aetrain.folder / folder

    return run


def read_events(folder: Path):
    """TensorBoard's own reader on a run's folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "histograms": 0})
    accumulator.Reload()
    return accumulator


PYTHON = sys.executable
