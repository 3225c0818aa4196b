"""Which members become one stack, and a stack that is interrupted."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch

from aetrain.config import stored
from aetrain.sweeps.launch.groups import (
    FILES_OF_A_MEMBER,
    OTHER_FILES,
    bytes_per_member,
    portions,
    structure,
    why_alone,
)
from aetrain.training import loop, stacking
from aetrain.training.schedules import factor
from tests.conftest import SMALL, compose, facts
from tests.sweeps.test_launcher import members
from tests.test_resume import Killed, assert_identical, result

LINE = ["-m", "model=beta_vae", "model.beta=1,4,16", "net.hidden=[32]", *SMALL, "trainer.checkpoint_minutes=1e-9",
        "hydra.launcher.mode=stack"]  # fmt: skip


def test_members_that_differ_in_hparams_and_their_schedules_are_of_one_structure():
    config = compose("model=beta_vae", "model.beta=1")
    other = dataclasses.replace(config, model=dataclasses.replace(config.model, beta=8.0))
    warm = compose("model=beta_vae", "model.beta=1", "model.schedule.beta.kind=linear")
    assert structure(config) == structure(other) == structure(warm)
    for changed in (
        dataclasses.replace(config, seed=1),
        dataclasses.replace(config, model=dataclasses.replace(config.model, latent_dim=3)),
        dataclasses.replace(config, model=dataclasses.replace(config.model, capacity=10.0)),  # another objective
        dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, lr=0.1)),
        compose("model=vae"),
    ):
        assert structure(changed) != structure(config)


@pytest.mark.parametrize("count", range(1, 12))
@pytest.mark.parametrize("most", [1, 2, 3, 5, 64])
def test_portions_are_small_enough_and_even(count, most):
    parts = list(portions(list(range(count)), most))
    sizes = [len(part) for part in parts]
    assert (
        [i for part in parts for i in part] == list(range(count))
        and max(sizes) <= most
        and max(sizes) - min(sizes) <= 1
    )
    assert len(parts) == -(-count // most)


def test_the_memory_of_a_member_grows_with_what_it_keeps():
    """Five times the weights, and twice the activations, which a doubled batch doubles."""
    config = compose("model=ae", "net=linear", "model.latent_dim=10", "model.likelihood=squared_error",
                     "trainer.batch_size=100")  # fmt: skip
    double = dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, batch_size=200))
    weights = 4 * 5 * (784 * 10 + 10 + 10 * 784 + 784)
    one, two = (bytes_per_member(c, facts()) - weights for c in (config, double))
    batch = 4 * 100 * 784  # the image is kept by the encoder and by the loss, its decoding by the loss
    assert two - one == pytest.approx(one, rel=0.25) and 2 * 2 * batch <= one <= 2 * 6 * batch


def test_a_stack_that_does_not_fit_is_divided(aetrain):
    config = compose("model=beta_vae", "net.hidden=[32]", *SMALL)
    room = 2.5 * bytes_per_member(config, facts()) / 1e9
    line = [*LINE, f"hydra.launcher.memory_gb={room}", "hydra.sweep.dir=sweep"]
    code, out, err = aetrain(*line)
    assert code == 0, err
    assert "3 runs could be one stack: at most 2 at a time fit" in out and out.count("a stack of") == 1
    assert [result(member)["status"] for member in members(aetrain.folder / "sweep")] == ["done"] * 3


def test_a_model_that_needs_labels_is_stacked(aetrain):
    line = ["-m", "model=cvae", "model.likelihood=gaussian", "model.sigma=0.5,1", "net.hidden=[8]", *SMALL]
    code, out, err = aetrain(*line, "hydra.launcher.mode=stack", "hydra.sweep.dir=sweep")
    assert code == 0 and "a stack of 2" in out, err


def test_what_cannot_be_stacked_runs_alone_and_says_why(aetrain):
    config = compose("model=ae")
    assert why_alone(config) is None
    assert "fp16" in why_alone(dataclasses.replace(config, device=dataclasses.replace(config.device, precision="fp16")))
    assert "line search" in why_alone(compose("model=ae", "optimizer=lbfgs", "trainer.batch_size=50000"))
    line = ["-m", "model=ae,vae", "trainer.on_nonfinite=stop,skip", *SMALL, "hydra.launcher.mode=stack"]
    code, out, err = aetrain(*line, "hydra.sweep.dir=sweep")
    assert code == 0, err
    assert out.count(": alone, trainer.on_nonfinite=skip") == 2 and "a stack of" not in out
    assert [result(member)["status"] for member in members(aetrain.folder / "sweep")] == ["done"] * 4


def test_a_stack_is_divided_where_files_cannot_be_opened(aetrain, monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (OTHER_FILES + 2 * FILES_OF_A_MEMBER,) * 2)
    code, out, err = aetrain(*LINE, "hydra.sweep.dir=sweep")
    assert code == 0, err
    assert "3 runs could be one stack: at most 2 at a time can have their files open (ulimit -n)" in out
    assert "a stack of 2" in out and [result(m)["status"] for m in members(aetrain.folder / "sweep")] == ["done"] * 3


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")]
)
def test_a_stack_that_runs_out_of_memory_goes_on_as_two(aetrain, monkeypatch, error):
    """Where it got to; a member alone that does so fails."""
    assert aetrain(*LINE, "hydra.sweep.dir=reference")[0] == 0
    step = stacking.Stack._steps

    def too_large(self):
        if self.step == 4 and len(self.members) > 2:
            raise error
        step(self)

    monkeypatch.setattr(stacking.Stack, "_steps", too_large)
    code, out, err = aetrain(*LINE, "hydra.sweep.dir=sweep")
    assert code == 0, err
    assert "a stack of 3 does not fit into the memory: as two" in out and out.count("resumed at step 4 of 6") == 3
    for one, other in zip(members(aetrain.folder / "sweep"), members(aetrain.folder / "reference"), strict=True):
        assert result(one)["metrics"] == pytest.approx(result(other)["metrics"], rel=3e-3)


def test_members_of_a_stack_have_schedules_of_their_own(aetrain):
    """Of other kinds, and of other hparams; what a member schedules is in no other's row."""
    line = ["-m", "model=beta_vae", "net.hidden=[8]", *SMALL, "hydra.launcher.mode=stack", "hydra.sweep.dir=sweep"]
    swept = ["model.schedule.beta.kind=constant,linear", "model.schedule.recon_weight.kind=constant,cosine"]
    code, _, err = aetrain(*line, *swept)
    assert code == 0, err
    found = members(aetrain.folder / "sweep")
    assert len(found) == 4
    for run in found:
        config = stored.read(run / "config.yaml")
        model, schedules = config.model, vars(config.model.schedule)
        rows = [json.loads(row) for row in (run / "metrics.jsonl").read_text().splitlines()]
        losses = [(row["step"], row) for row in rows if "train/loss" in row]
        assert len(losses) == 3
        for step, row in losses:
            for name in ("beta", "recon_weight"):
                expected = getattr(model, name) * factor(schedules[name], (step - 1) / 6)
                assert row[f"hparam/{name}"] == pytest.approx(expected, abs=1e-6)
        tested = result(run)["metrics"]
        weighed = model.recon_weight * factor(schedules["recon_weight"], 1.0) * tested["test/recon"]
        weighed += model.beta * factor(schedules["beta"], 1.0) * tested["test/kl"]
        assert tested["test/loss"] == pytest.approx(weighed, rel=1e-4)


def test_a_stack_whose_time_is_over_stops_together_and_goes_on_as_one(aetrain, monkeypatch):
    line = ["-m", "model=beta_vae", "model.beta=1,4", "net.hidden=[32]", *SMALL, "trainer.epochs=2",
            "trainer.max_steps=null", "hydra.launcher.mode=stack", "hydra.sweep.dir=sweep"]  # fmt: skip
    moments = iter(range(10_000))  # a clock on which every look is a second
    with monkeypatch.context() as patch:
        patch.setattr(loop.time, "monotonic", lambda: float(next(moments)))
        code, _, err = aetrain(*line, "trainer.minutes=0.5", "trainer.checkpoint_minutes=1000")
    assert code == 0, err
    steps = {torch.load(m / "checkpoints" / "last.pt", weights_only=True)["step"] for m in members(Path("sweep"))}
    assert len(steps) == 1 and 0 < steps.pop() < 12
    code, out, err = aetrain("resume=sweep")
    assert code == 0 and "a stack of 2" in out, err
    assert [result(m)["step"] for m in members(Path("sweep"))] == [12, 12]


def test_a_members_numbers_that_went_wrong_since_the_last_look_are_not_saved(aetrain, monkeypatch):
    """A request for a checkpoint between two log points: the latch is asked, not what it said at the last one."""
    steps = stacking.Stack._steps

    def poisoned(self):
        if self.step == 4:
            with torch.no_grad():
                next(iter(self._rows[0].values()))[1].fill_(torch.nan)
        steps(self)
        if self.step == 5:
            self.members[0].requests.checkpoint = True

    monkeypatch.setattr(stacking.Stack, "_steps", poisoned)
    line = [*LINE, "trainer.checkpoint_minutes=1000", "hydra.sweep.dir=sweep"]
    code, _, err = aetrain(*line)
    assert code == 1 and "1 of 3 runs failed" in err and "diverged" in err
    saved = torch.load(members(Path("sweep"))[1] / "checkpoints" / "last.pt", weights_only=True)["model"]
    assert all(value.isfinite().all() for value in saved.values())


@pytest.fixture
def kill_stack_at(monkeypatch):
    step = stacking.Stack._steps

    def arm(n):
        def lethal(self):
            if self.step == n:
                raise Killed
            step(self)

        monkeypatch.setattr(stacking.Stack, "_steps", lethal if n else step)

    return arm


def test_the_checkpoints_of_a_stack_are_of_one_step(aetrain, kill_stack_at, monkeypatch):
    """So that it goes on as one, whenever it is killed; though one member's last one was written later."""
    kill_stack_at(5)
    steps = stacking.Stack._steps

    def later(self):
        if self.step == 0:
            self.members[1].checkpoints.saved_at += 1000
        steps(self)

    monkeypatch.setattr(stacking.Stack, "_steps", later)
    with pytest.raises(Killed):
        aetrain(*LINE, "hydra.sweep.dir=sweep")
    saved = [torch.load(m / "checkpoints" / "last.pt", weights_only=True)["step"] for m in members(Path("sweep"))]
    assert len(set(saved)) == 1 and 0 < saved[0] <= 5


def test_a_killed_stack_goes_on_to_the_bit(aetrain, kill_stack_at):
    """Also as another stack, after one of its members has begun anew: then to rounding."""
    assert aetrain(*LINE, "hydra.sweep.dir=reference")[0] == 0
    reference = members(aetrain.folder / "reference")
    kill_stack_at(4)
    with pytest.raises(Killed):
        aetrain(*LINE, "hydra.sweep.dir=sweep")
    kill_stack_at(0)
    shutil.copytree("sweep", "regrouped")
    code, out, err = aetrain("resume=sweep")
    assert code == 0, err
    assert "a stack of 3" in out and out.count("resumed at step 4 of 6") == 3
    for one, other in zip(members(aetrain.folder / "sweep"), reference, strict=True):
        assert_identical(one, other)

    (members(aetrain.folder / "regrouped")[1] / "checkpoints" / "last.pt").unlink()
    code, out, err = aetrain("resume=regrouped")
    assert code == 0, err
    assert "a stack of 2: 0 model.beta=1, 2 model.beta=16" in out and out.count("resumed at step 4 of 6") == 2
    for one, other in zip(members(aetrain.folder / "regrouped"), reference, strict=True):
        assert result(one)["metrics"] == pytest.approx(result(other)["metrics"], rel=3e-3)
        assert torch.load(one / "checkpoints" / "last.pt")["step"] == 6

    code, out, err = aetrain(f"resume={reference[1]}", "trainer.max_steps=9")  # a member alone
    assert code == 0, err
    assert "resumed at step 6 of 9" in out


def test_a_member_of_a_stack_that_fails_is_told_at_the_end(aetrain):
    line = ["-m", "model=ae", "model.likelihood=gaussian", "model.sigma=1,1e-30,0.5", *SMALL,
            "hydra.launcher.mode=stack"]  # fmt: skip
    code, _, err = aetrain(*line, "hydra.sweep.dir=sweep")
    assert code == 1 and err.count("\n") == 1 and "1 of 3 runs failed: 1 model.sigma=1" in err
    assert [result(member)["status"] for member in members(aetrain.folder / "sweep")] == ["done", "failed", "done"]
    log = (members(aetrain.folder / "sweep")[1] / "aetrain.log").read_text()
    assert "diverged" in log and "its weights are worthless from there on" in log
    assert "diverged" not in (members(aetrain.folder / "sweep")[0] / "aetrain.log").read_text()


@pytest.mark.longer
def test_a_done_member_without_its_last_checkpoint_stays_done(aetrain):
    assert aetrain(*LINE, "hydra.sweep.dir=sweep")[0] == 0
    first, second, _ = members(aetrain.folder / "sweep")
    (first / "checkpoints" / "last.pt").unlink()
    before = (first / "result.json").read_bytes(), (first / "metrics.jsonl").read_bytes()
    (second / "result.json").unlink()  # as if killed at its end
    code, out, err = aetrain("resume=sweep")
    assert code == 0, err
    assert out.count("nothing to do") == 2
    assert ((first / "result.json").read_bytes(), (first / "metrics.jsonl").read_bytes()) == before
