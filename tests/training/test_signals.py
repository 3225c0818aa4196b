"""A signal in every phase of a run: an answer at once, and nothing of the end changes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from aetrain.evaluation import classifier, pca
from aetrain.models import autoencoder, contractive
from aetrain.tasks import linear, train
from aetrain.training import checkpoint, fine_tuning, held_out, loop, stacking
from tests.conftest import SMALL, longer
from tests.sweeps.test_launcher import members
from tests.test_resume import LINE, STEPS, assert_identical, metrics, result, same


@pytest.fixture
def signalled(monkeypatch):
    """Within the block, the n-th call of a function comes with a SIGTERM; calls of None are not counted."""

    def arm(owner, name, n, counted=lambda *args: True):
        original, calls = getattr(owner, name), 0

        def hooked(*args, **kwargs):
            nonlocal calls
            calls += counted(*args)
            if calls == n and counted(*args):
                os.kill(os.getpid(), signal.SIGTERM)
            return original(*args, **kwargs)

        patch = pytest.MonkeyPatch()
        patch.setattr(owner, name, hooked)
        return patch

    return arm


CONV = ["model=contractive", "net=conv", "net.channels=[4]", "model.latent_dim=3", "model.tied=false"]
LBFGS = ["model=ae", "net.hidden=[16]", "optimizer=lbfgs", "optimizer.iterations=4", "optimizer.history=3",
         "trainer.batch_size=300", "trainer.log_every=1", "trainer.epochs=4", "data.val_size=100"]  # fmt: skip
SCHEDULED = [
    "model=beta_vae",
    "model.schedule.beta.kind=linear",
    "optimizer.schedule.kind=cosine",
    "trainer.log_every=6",
]


def training(*args):
    return args[0].training


def of(split):
    """Evaluations of one split."""
    return lambda model, images, *args, **kwargs: len(images) == {"val": 100, "test": 300}[split]


PHASES = {
    # what is hooked, the n-th of which calls; more overrides; the step that the checkpoint is of
    "the first validation": (held_out, "evaluate", 1, lambda *_: True, [], 0),
    "an epoch's log row": (loop.Training, "log_interval", 2, lambda *_: True, SCHEDULED, 12),
    "an epoch's evaluation": (held_out, "evaluate", 3, of("val"), SCHEDULED, 12),
    "a drawing": (loop, "make_grids", 2, lambda *_: True, ["trainer.grid_epochs=1"], 12),
    "the writing of a checkpoint": (checkpoint, "save", 3, lambda *_: True, [], 12),
    "the last evaluation": (held_out, "evaluate", 4, of("val"), [], 14),
    "the test": (held_out, "evaluate", 1, of("test"), ["trainer.test=best"], 14),
    "importance samples": (held_out, "importance_nll", 1, lambda *_: True, ["trainer.nll_samples=5"], 14),
    "the contraction in evaluation": (contractive, "jacobian_squared_norm", 3, lambda *_: True, CONV, 12),
    "the contraction of the first step": (
        autoencoder.Autoencoder, "forward", 1, training, [*CONV, "model.estimator=exact"], 0,
    ),
    "the second step of L-BFGS": (autoencoder.Autoencoder, "forward", 8, training, LBFGS, 1),
}  # fmt: skip


def some_of(names):
    """Every third of them at every run of the tests, the others in the longer ones."""
    return [name if i % 3 == 0 else longer(name) for i, name in enumerate(names)]


@pytest.mark.parametrize("phase", some_of(PHASES))
def test_a_signal_in_a_phase_of_training(aetrain, done, signalled, phase):
    owner, name, n, counted, overrides, step = PHASES[phase]
    line = [*(STEPS if "net=conv" in overrides else LINE), "data.val_size=100", *overrides]
    done(*line, to="reference")
    with_signal = signalled(owner, name, n, counted)
    code, _, err = aetrain(*line, "hydra.run.dir=run")
    with_signal.undo()
    assert code == 143 and err.count("\n") == 1 and "SIGTERM at step" in err and err.endswith("resume=run\n"), err
    run, reference = aetrain.folder / "run", aetrain.folder / "reference"
    assert result(run)["status"] == "interrupted"
    assert torch.load(run / "checkpoints" / "last.pt", weights_only=True)["step"] == step
    code, _, err = aetrain("resume=run")
    assert code == 0, err
    assert_identical(run, reference)


def test_two_signals_in_one_run(aetrain, done, signalled):
    """The second in the repetition of what the first has interrupted."""
    line = [*LINE, "data.val_size=100", *SCHEDULED]
    done(*line, to="reference")
    for n, command in ((3, [*line, "hydra.run.dir=run"]), (1, ["resume=run"])):
        with_signal = signalled(held_out, "evaluate", n, of("val"))
        assert aetrain(*command)[0] == 143
        with_signal.undo()
    assert aetrain("resume=run")[0] == 0
    assert_identical(aetrain.folder / "run", aetrain.folder / "reference")


def test_a_signal_in_a_slow_step_does_not_wait_for_its_end(aetrain, done, signalled, monkeypatch):
    monkeypatch.setattr(loop, "SLOW", 0.0)  # all steps are
    # A buffer changes in the forward pass.
    line = [*STEPS, "model=sparse", "model.latent_dim=16", "model.rho_hat=ema", "trainer.clip_norm=1"]
    done(*line, to="reference")
    with_signal = signalled(autoencoder.Autoencoder, "compare", 5, training)
    assert aetrain(*line, "hydra.run.dir=run")[0] == 143
    with_signal.undo()
    assert torch.load(aetrain.folder / "run" / "checkpoints" / "last.pt", weights_only=True)["step"] == 4
    assert aetrain("resume=run")[0] == 0
    assert_identical(aetrain.folder / "run", aetrain.folder / "reference")


# --- tasks with stages

CLASSIFY = ["task=classify", "model=ae", "task.layers=[20,10]", "task.softmax_iterations=4", "task.fine_tune=true",
            "data.val_size=100", *SMALL]  # fmt: skip
ADAM = ["task.fine_tune_optimizer=adam", "task.fine_tune_epochs=2", "task.fine_tune_batch_size=50"]
LINEAR = ["task=linear", "task.code_sizes=[2,3]", "task.train=true", "net=linear", "model=vae",
          "model.likelihood=gaussian", "model.output=identity", "model.sigma_mode=learned", *SMALL]  # fmt: skip
STAGES = {
    "the second layer's epoch": (held_out, "evaluate", 4, of("val"), [*CLASSIFY, *ADAM]),
    "softmax regression": (classifier.F, "cross_entropy", 2, lambda *_: True, [*CLASSIFY, *ADAM]),
    "fine-tuning by Adam": (fine_tuning, "error_percent", 1, lambda *_: True, [*CLASSIFY, *ADAM]),
    "fine-tuning by L-BFGS": (
        classifier.Classifier, "forward", 5, training,
        [*CLASSIFY, "task.fine_tune_optimizer=lbfgs", "task.fine_tune_iterations=3"],
    ),
    "a decomposition": (pca.torch.linalg, "eigh", 1, lambda *_: True, LINEAR),
    "a closed form": (linear, "gaussian_log_likelihood", 1, lambda *_: True, LINEAR),
    "importance samples": (linear, "importance_nll", 2, lambda *_: True, LINEAR),
    "a stage's test": (held_out, "evaluate", 2, of("test"), LINEAR),
}  # fmt: skip


@pytest.mark.parametrize("stage", some_of(STAGES))
def test_a_signal_in_a_task_with_stages(aetrain, signalled, stage):
    owner, name, n, counted, line = STAGES[stage]
    code, _, err = aetrain(*line, "hydra.run.dir=reference")
    assert code == 0, err
    with_signal = signalled(owner, name, n, counted)
    code, _, err = aetrain(*line, "hydra.run.dir=run")
    with_signal.undo()
    run, reference = aetrain.folder / "run", aetrain.folder / "reference"
    assert code == 143 and err.count("\n") == 1 and err.endswith("resume=run\n"), err
    assert result(run)["status"] == "interrupted"
    code, _, err = aetrain("resume=run")
    assert code == 0, err
    assert result(run)["metrics"] == result(reference)["metrics"] and metrics(run) == metrics(reference)
    for path in reference.rglob("last.pt"):
        one, other = (torch.load(p, weights_only=True) for p in (path, run / path.relative_to(reference)))
        assert same(one["model"], other["model"])


# --- stacks

STACK = ["-m", "model=beta_vae", "model.beta=1,4,16", "net.hidden=[32]", *SMALL, "data.val_size=100",
         "hydra.launcher.mode=stack", "trainer.max_steps=12", "trainer.epochs=2"]  # fmt: skip
OF_A_STACK = {
    "the first step": (stacking, "functional_call", 1),
    "a step": (stacking, "functional_call", 4),
    "an epoch's evaluation": (stacking, "evaluate_together", 2),
    "the last evaluation": (stacking, "evaluate_together", 3),
    "the pictures of the second": (loop, "make_grids", 2),
    "the test": (stacking, "evaluate_together", 4),
    "the end of the second": (train, "curves", 2),
}


@pytest.mark.parametrize("phase", some_of(OF_A_STACK))
def test_a_signal_in_a_phase_of_a_stack(aetrain, done, signalled, phase):
    done(*STACK, to="reference")
    with_signal = signalled(*OF_A_STACK[phase])
    code, _, err = aetrain(*STACK, "hydra.sweep.dir=sweep")
    with_signal.undo()
    assert code == 143 and err.count("\n") == 1 and "resume=sweep" in err, err
    code, out, err = aetrain("resume=sweep")
    assert code == 0, err
    for one, other in zip(members(aetrain.folder / "sweep"), members(aetrain.folder / "reference"), strict=True):
        if "stack of" in out:
            assert_identical(one, other)
        else:
            assert result(one)["metrics"] == pytest.approx(result(other)["metrics"], rel=3e-3)


# --- real processes


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=vae", "trainer.nll_samples=5000", "trainer.max_steps=4"],
        longer(
            ["model=ae", "optimizer=lbfgs", "optimizer.iterations=400", "trainer.batch_size=5000", "data.limit=5000"]
        ),
    ],
    ids=["importance samples", "L-BFGS"],
)
def test_a_process_ends_within_five_seconds(tmp_path, overrides):
    from tests.test_faults import Started

    line = ["data.limit=1000", "data.val_size=0", "device=cpu", "device.threads=1", *overrides, "hydra.run.dir=run"]
    process = Started(tmp_path, *line)
    rows = tmp_path / "run" / "metrics.jsonl"
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    while not (last.exists() and ("lbfgs" in str(overrides) or torch.load(last)["step"] == 4)):
        assert process.process.is_alive()
        time.sleep(0.05)
    time.sleep(2)
    assert process.process.is_alive() and "test/loss" not in rows.read_text()
    since = time.monotonic()
    process.send(signal.SIGTERM)
    _, err = process.finish(143)
    assert time.monotonic() - since < 5 and "SIGTERM at step" in err
    assert json.loads((tmp_path / "run" / "result.json").read_text())["status"] == "interrupted"


def test_a_clusters_handler_is_called_once_the_checkpoint_is_written(aetrain, done, monkeypatch):
    """As submitit's, which puts the job back into the queue and exits; what it bypasses stays its own."""
    done(*LINE, to="reference")
    called = []

    def requeue(number, frame):
        called.append((number, torch.load("run/checkpoints/last.pt", weights_only=True)["step"]))
        raise SystemExit(-1)

    def signalled(self):
        log_interval(self)
        if self.step == 9:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGUSR2)

    log_interval = loop.Training.log_interval
    before = [signal.signal(signal.SIGUSR2, requeue), signal.signal(signal.SIGTERM, lambda *_: called.append("left"))]
    try:
        with monkeypatch.context() as patch:
            patch.setattr(loop.Training, "log_interval", signalled)
            assert aetrain(*LINE, "hydra.run.dir=run")[0] == -1
        assert signal.getsignal(signal.SIGUSR2) is requeue
    finally:
        for number, handler in zip((signal.SIGUSR2, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
    assert called == ["left", (signal.SIGUSR2, 9)]
    assert aetrain("resume=run")[0] == 0
    assert_identical(aetrain.folder / "run", aetrain.folder / "reference")


AT_AN_IMPORT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            print("now", flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Finder())
from aetrain.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("line", ["sklearn embed", "sklearn evaluate", "sympy evaluate"])
def test_a_signal_that_comes_during_an_import_ends_the_task_after_it(small_run, line):
    module, task = line.split()
    folder = small_run("model=ae", "net=linear", "model.latent_dim=2")
    words = [sys.executable, "-c", AT_AN_IMPORT, module, task, f"run={folder}", "out=o", "device=cpu"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if "now" not in done.stdout:
        pytest.skip(f"{task} does not import {module} with this torch")
    assert done.returncode == 143 and done.stderr.strip().split("\n")[-1] == "aetrain: SIGTERM: stopped", done.stderr
