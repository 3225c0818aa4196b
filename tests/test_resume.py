"""Resuming: what comes out is what a run that was never interrupted gives, to the bit."""

import contextlib
import functools
import json
import os
import signal
import threading
from types import SimpleNamespace

import pytest
import torch
import yaml

from aetrain.config import stored
from aetrain.config.tables import MODELS
from aetrain.data.load import load
from aetrain.errors import Interrupted
from aetrain.tasks.train import started
from aetrain.training import checkpoint, loop, saving
from aetrain.training.signals import Requests
from aetrain.training.state import _restore_noise
from tests.conftest import SMALL, longer, read_events

STEPS = [*SMALL, "trainer.max_steps=14", "trainer.epochs=3", "trainer.log_every=3"]  # 6 steps an epoch
LINE = [*STEPS, "net.hidden=[32]"]


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, nothing is written because of it."""


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def metrics(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{tag: value for tag, value in row.items() if not tag.startswith("speed/")} for row in rows]


def result(run):
    return {k: v for k, v in json.loads((run / "result.json").read_text()).items() if k != "seconds"}


def events(run):
    scalars = read_events(run)
    tags = [tag for tag in scalars.Tags()["scalars"] if not tag.startswith("speed/")]
    return {tag: [(e.step, e.value) for e in scalars.Scalars(tag)] for tag in tags}


def assert_identical(run, reference):
    for name in ("last", "best"):
        one, other = (torch.load(r / "checkpoints" / f"{name}.pt", weights_only=True) for r in (run, reference))
        for part in ("model", "optimizer", "rng", "step", "best"):
            assert same(one[part], other[part]), f"{name}.pt: {part}"
    assert metrics(run) == metrics(reference)
    assert result(run) == result(reference)
    assert events(run) == events(reference)
    assert sorted(p.name for p in run.rglob("*.png")) == sorted(p.name for p in reference.rglob("*.png"))
    for grid in reference.rglob("*.png"):
        assert (run / grid.relative_to(reference)).read_bytes() == grid.read_bytes()
    assert (run / "results.csv").read_bytes() == (reference / "results.csv").read_bytes()


@pytest.fixture
def kill_at(monkeypatch):
    """Make every training from now on die before its n-th step (counted from where it starts); 0: no more."""
    made = {name: getattr(loop, name) for name in ("make_step", "make_lbfgs_step")}

    def arm(n):
        def lethal(make, *args, **kwargs):
            step, count = make(*args, **kwargs), 0

            def wrapped(*batch):
                nonlocal count
                count += 1
                if count == n:
                    raise Killed
                return step(*batch)

            return wrapped

        for name, make in made.items():
            monkeypatch.setattr(loop, name, functools.partial(lethal, make) if n else make)

    return arm


OFTEN = ("vae", "dae", "vq_vae", "factor_vae")  # of the others, each has one of these in it


@pytest.mark.parametrize(
    ("model", "precision"),
    [
        *((m, "fp32") if m in OFTEN else longer(m, "fp32") for m in sorted(MODELS)),
        ("vae", "bf16"),
        ("vae prior=vamp prior.components=9", "fp32"),
    ],
)
def test_killed_and_resumed_equals_never_interrupted(aetrain, done, kill_at, model, precision):
    steps = [*STEPS, "model.latent_dim=16"] if model in ("sparse", "contractive", "vq_vae") else LINE  # no hidden layer
    line = [*steps, *f"model={model}".split(), f"device.precision={precision}", "trainer.checkpoint_minutes=1e-9"]
    done(*line, to="reference")
    kill_at(5)
    with pytest.raises(Killed):
        aetrain(*line, "hydra.run.dir=run")
    if model == "vae":  # again, after four more steps: a resumed run can be resumed
        with pytest.raises(Killed):
            aetrain("resume=run")
    kill_at(0)
    code, out, err = aetrain("resume=run")
    assert code == 0, err
    assert f"resumed at step {8 if model == 'vae' else 4} of 14" in out
    assert_identical(aetrain.folder / "run", aetrain.folder / "reference")


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer.clip_norm=0.5", "optimizer.schedule.kind=cosine"],
        ["optimizer=sgd", "trainer.patience=1", "trainer.min_delta=1000"],
        ["model=beta_vae", "model.schedule.beta.kind=linear", "data.binarization=dynamic"],
        ["data=digits", "data.resident=false", "data.flip=true", "data.shift=1", "data.binarization=dynamic"],
    ],
    ids=["cosine, clipping", "sgd, early stopping", "beta warm-up, dynamic binarization", "read ahead, augmented"],
)
def test_whatever_else_has_state(aetrain, done, kill_at, overrides):
    line = [*LINE, *overrides, "trainer.checkpoint_minutes=1e-9"]
    done(*line, to="reference")
    kill_at(8)
    with pytest.raises(Killed):
        aetrain(*line, "hydra.run.dir=run")
    kill_at(0)
    assert aetrain("resume=run")[0] == 0
    assert_identical(aetrain.folder / "run", aetrain.folder / "reference")


def test_the_curvature_of_lbfgs_is_kept(aetrain, done, kill_at):
    line = [*SMALL, "model=ae", "net.hidden=[16]", "optimizer=lbfgs", "optimizer.iterations=3", "optimizer.history=4"]
    line += ["trainer.batch_size=300", "trainer.log_every=1", "trainer.epochs=4", "data.val_size=100"]
    done(*line, to="reference")
    kill_at(3)
    with pytest.raises(Killed):
        aetrain(*line, "hydra.run.dir=run")
    kill_at(0)
    code, out, err = aetrain("resume=run")
    assert code == 0 and "resumed at step 2 of 4" in out, err
    assert_identical(aetrain.folder / "run", aetrain.folder / "reference")
    code, _, err = aetrain("resume=run", "optimizer.history=5", "trainer.epochs=5")
    assert code == 2 and "optimizer.history" in err


def test_resuming_from_an_epochs_end_repeats_what_came_after(aetrain, done, kill_at):
    """With a checkpoint per epoch only, the steps since are made again: nothing is logged twice."""
    done(*LINE, to="reference")
    kill_at(11)
    with pytest.raises(Killed):
        aetrain(*LINE, "hydra.run.dir=run")
    assert metrics(aetrain.folder / "run")[-1]["step"] == 9
    with open(aetrain.folder / "run" / "metrics.jsonl", "a") as torn:
        torn.write('{"step": 10, "ep')
    (aetrain.folder / "run" / "checkpoints" / ".last.pt.123.tmp").write_bytes(b"half a checkpoint")
    kill_at(0)
    assert aetrain("resume=run")[0] == 0
    assert_identical(aetrain.folder / "run", aetrain.folder / "reference")
    assert not list((aetrain.folder / "run").rglob(".*.tmp"))


@pytest.mark.parametrize("moment", ["before the first checkpoint", "before the first validation", "in the first step"])
def test_killed_at_the_very_start(aetrain, done, kill_at, monkeypatch, moment):
    done(*LINE, to="reference")

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        if moment == "in the first step":
            kill_at(1)
        else:
            patch.setattr(
                *((saving.Checkpoints, "save") if "checkpoint" in moment else (loop.Training, "validate")), die
            )
        with pytest.raises(Killed):
            aetrain(*LINE, "hydra.run.dir=run")
    kill_at(0)
    code, _, err = aetrain("resume=run")
    assert code == 0, err
    run, reference = aetrain.folder / "run", aetrain.folder / "reference"
    if "checkpoint" not in moment:  # the overrides are kept in checkpoints
        assert_identical(run, reference)
    assert metrics(run) == metrics(reference) and result(run)["metrics"] == result(reference)["metrics"]


def test_on_a_device_of_another_kind_noise_is_drawn_anew():
    """Not that of the first steps again, and the same on every resumption from there."""
    torch.manual_seed(0)
    state = {"rng": {"cpu": torch.get_rng_state(), "cuda": None}}
    first = torch.rand(3)

    def drawn(step, cuda):
        training = SimpleNamespace(device=torch.device("cpu"), config=SimpleNamespace(seed=0), step=step)
        _restore_noise(training, {"rng": state["rng"] | {"cuda": cuda}})
        return torch.rand(3)

    of_a_gpu = torch.zeros(16, dtype=torch.uint8)
    assert torch.equal(drawn(7, None), first)
    assert torch.equal(drawn(7, of_a_gpu), drawn(7, of_a_gpu))
    assert not torch.equal(drawn(7, of_a_gpu), first) and not torch.equal(drawn(7, of_a_gpu), drawn(8, of_a_gpu))


def test_the_optimizers_numbers_may_change(aetrain, done):
    done(*LINE, "optimizer=sgd", "optimizer.momentum=0", "optimizer.lr=1e-4")
    code, _, err = aetrain("resume=run", "optimizer.momentum=0.9", "optimizer.lr=1e-5", "trainer.max_steps=18")
    assert code == 0, err
    saved = torch.load(aetrain.folder / "run" / "checkpoints" / "last.pt", weights_only=True)
    assert (
        saved["optimizer"]["param_groups"][0]["momentum"] == 0.9 and metrics(aetrain.folder / "run")[-2]["step"] == 18
    )


def test_a_learning_rate_that_is_a_tensor_is_the_configurations_on_resuming(aetrain, done):
    """As on a GPU, and under torch.compile."""
    folder, where = done(*LINE, "model=factor_vae"), torch.device("cpu")
    state, config = checkpoint.load(folder / "checkpoints" / "last.pt"), stored.read(folder / "config.yaml")
    config.trainer.compile, config.optimizer.lr = True, 5e-4
    with started(config, folder, [], load(config.data, where), where, Requests(), state) as training:
        rates = [group["lr"] for group in training.optimizer.param_groups]
    assert all(isinstance(lr, torch.Tensor) for lr in rates) and list(map(float, rates)) == [5e-4, 1e-4]


def test_no_best_checkpoint_is_of_an_epoch_that_the_last_one_does_not_know(aetrain, monkeypatch):
    saved, save = [], checkpoint.save

    def noted(paths, state):
        saved.extend((path.stem, state["step"]) for path in paths)
        save(paths, state)

    monkeypatch.setattr(checkpoint, "save", noted)
    line = [*SMALL, "net.hidden=[32]", "trainer.max_steps=null", "trainer.epochs=4", "trainer.checkpoint_epochs=100"]
    assert aetrain(*line, "hydra.run.dir=run")[0] == 0
    assert saved == [("last", 0), *((name, step) for step in (6, 12, 18, 24) for name in ("last", "best"))]


def test_the_best_is_of_one_past(aetrain, kill_at):
    """Killed between two checkpoints and resumed with other values: what result.json calls the best is in best.pt."""
    line = [*SMALL, "net.hidden=[32]", "trainer.max_steps=null", "trainer.epochs=9", "trainer.checkpoint_epochs=5"]
    kill_at(46)
    with pytest.raises(Killed):
        aetrain(*line, "hydra.run.dir=run")
    kill_at(0)
    code, out, err = aetrain("resume=run", "optimizer.lr=1e-9")
    assert code == 0, err
    assert "resumed at step 42 of 54" in out  # of the last epoch that was the best, not of the fifth
    assert_best_agrees(aetrain.folder / "run")


def assert_best_agrees(run):
    best = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    assert best["best"] == result(run)["best"] and best["step"] == 6 * best["best"]["epoch"]


@pytest.mark.parametrize("trained_on", ["a later epoch", "nothing"])
def test_a_best_checkpoint_that_the_last_one_does_not_know_is_not_trusted(aetrain, done, kill_at, trained_on):
    """As a run of 0.1 that was killed left it: best.pt after last.pt. Or killed between the two."""
    line = [*SMALL, "net.hidden=[32]", "trainer.max_steps=null", "trainer.epochs=4"]
    done(*line, to="reference")
    kill_at(13)
    with pytest.raises(Killed):
        aetrain(*line, "hydra.run.dir=run")
    kill_at(0)
    best = aetrain.folder / "run" / "checkpoints" / "best.pt"
    assert torch.load(best, weights_only=True)["best"]["epoch"] == 2
    best.unlink()
    if trained_on == "a later epoch":
        best.write_bytes((aetrain.folder / "reference" / "checkpoints" / "best.pt").read_bytes())
    assert aetrain("resume=run", "trainer.min_delta=1000")[0] == 0  # nothing counts as better from here
    assert result(aetrain.folder / "run")["best"]["epoch"] == 2
    assert_best_agrees(aetrain.folder / "run")


def test_weights_that_are_gone_are_not_called_the_best(aetrain, kill_at):
    line = [*SMALL, "net.hidden=[32]", "trainer.max_steps=null", "trainer.epochs=4", "trainer.test=best"]
    kill_at(15)
    with pytest.raises(Killed):
        aetrain(*line, "trainer.checkpoint_minutes=1e-9", "hydra.run.dir=run")
    kill_at(0)
    (aetrain.folder / "run" / "checkpoints" / "best.pt").unlink()
    code, out, err = aetrain("resume=run")
    assert code == 0, err
    assert "is not of the best epoch, 2" in out
    assert_best_agrees(aetrain.folder / "run")


@pytest.mark.parametrize("damage", ["latin-1", "utf-16", "words"])
def test_a_table_that_another_program_has_saved_ends_no_run(aetrain, done, damage):
    line = [*SMALL, "net.hidden=[32]", "trainer.max_steps=null"]
    done(*line, "trainer.epochs=2")
    path = aetrain.folder / "run" / "results.csv"
    text = path.read_text()
    harmed = {
        "latin-1": text.replace("epoch", "\xe9poque,epoch", 1).encode("latin-1"), "utf-16": text.encode("utf-16"),
        "words": text.replace("\n1,", "\none,").encode(),
    }[damage]  # fmt: skip
    path.write_bytes(harmed + b"\n" * max(0, len(text) - len(harmed)))
    kept = path.read_bytes()[: len(text)]
    code, _, err = aetrain("resume=run", "trainer.epochs=3")
    assert code == 0, err
    assert path.read_bytes().startswith(kept) and len(path.read_bytes()) > len(kept)
    assert result(aetrain.folder / "run")["status"] == "done"


@pytest.mark.parametrize("content", ["[" * 100_000, "{", "[]", '{"status": "done"}'])
def test_a_result_that_is_none_is_written_again(aetrain, done, content):
    done(*LINE)
    run, before = aetrain.folder / "run", result(aetrain.folder / "run")
    (run / "result.json").write_text(content)
    code, _, err = aetrain("resume=run")
    assert code == 0, err
    assert result(run)["metrics"] == before["metrics"]


@pytest.mark.parametrize("early", [False, True])
def test_a_done_run_without_its_last_checkpoint_stays_done(aetrain, done, early):
    line = [*LINE, *(["trainer.patience=1", "trainer.min_delta=1000"] if early else [])]
    done(*line)
    run = aetrain.folder / "run"
    (run / "checkpoints" / "last.pt").unlink()
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != "aetrain.log"}
    code, out, err = aetrain("resume=run")
    assert code == 0 and "nothing to do" in out, err
    for more in ["trainer.max_steps=20", "trainer.epochs=9"][: 0 if early else 1] or ["trainer.patience=3"]:
        code, _, err = aetrain("resume=run", more)
        assert code == 2 and err.count("\n") == 1 and "last.pt, which is gone" in err
    assert {p: p.read_bytes() for p in before} == before


def test_more_epochs_equal_a_longer_run(aetrain, done):
    line = [*SMALL, "net.hidden=[32]", "trainer.max_steps=null"]
    done(*line, "trainer.epochs=3", to="reference")
    done(*line, "trainer.epochs=1")
    code, out, _ = aetrain("resume=run", "trainer.epochs=3")
    assert code == 0 and "warning" not in out
    run, reference = aetrain.folder / "run", aetrain.folder / "reference"
    assert metrics(run) == metrics(reference)
    assert result(run)["metrics"] == result(reference)["metrics"]
    assert yaml.safe_load((run / "config.yaml").read_text()) == yaml.safe_load((reference / "config.yaml").read_text())


def test_more_epochs_under_a_schedule_say_what_differs(aetrain, done):
    line = [*SMALL, "net.hidden=[32]", "trainer.max_steps=null", "optimizer.schedule.kind=cosine"]
    done(*line, "trainer.epochs=1")
    code, out, _ = aetrain("resume=run", "trainer.epochs=2")
    assert code == 0 and "the result differs from that of a run of this length" in out.replace("\n", " ")


def test_a_finished_run_is_left_alone_and_said_so(aetrain, done):
    done(*LINE)
    files = ("metrics.jsonl", "result.json", "checkpoints/last.pt", "config.yaml")
    before = {name: (aetrain.folder / "run" / name).read_bytes() for name in files}
    code, out, _ = aetrain("resume=run")
    assert code == 0 and "nothing to do" in out
    assert {name: (aetrain.folder / "run" / name).read_bytes() for name in files} == before


def test_a_run_killed_in_its_test_gets_its_result(aetrain, done, monkeypatch):
    done(*LINE, to="reference")

    def die(self):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "test", die)
        with pytest.raises(Killed):
            aetrain(*LINE, "hydra.run.dir=run")
    assert not (aetrain.folder / "run" / "result.json").exists()
    assert aetrain("resume=run")[0] == 0
    assert_identical(aetrain.folder / "run", aetrain.folder / "reference")


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("model=ae", "start a new run"),
        ("model.latent_dim=3", "start a new run"),
        ("data.limit=100", "start a new run"),
        ("seed=1", "start a new run"),
        ("trainer.batch_size=10", "start a new run"),
        ("optimizer.schedule.kind=cosine", "start a new run"),
        ("model.betta=2", "unknown key 'model.betta'"),
        ("hydra.run.dir=elsewhere", ""),
        ("+hydra.callbacks.x._target_=os.system", ""),
        ("trainer.epochs=0", "at least 1"),
        ("trainer.epcohs=3", "epochs"),
    ],
)
def test_an_override_that_would_make_it_another_run_is_refused(aetrain, done, override, says):
    done(*LINE)
    before = {p: p.read_bytes() for p in (aetrain.folder / "run").rglob("*") if p.is_file()}
    code, _, err = aetrain("resume=run", override)
    assert code == 2 and err.count("\n") == 1 and says in err
    assert {p: p.read_bytes() for p in (aetrain.folder / "run").rglob("*") if p.is_file()} == before
    assert not (aetrain.folder / "elsewhere").exists()


# --- signals and locks


@pytest.mark.usefixtures("hung_up")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_run_with_a_checkpoint(aetrain, done, monkeypatch, number, code):
    done(*LINE, to="reference")
    log_interval = loop.Training.log_interval

    def signalled(self):
        log_interval(self)
        if self.step == 9:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "log_interval", signalled)
        got, _, err = aetrain(*LINE, "hydra.run.dir=run")
    assert got == code and err.count("\n") == 1 and "step 9" in err and "resume=" in err
    run = aetrain.folder / "run"
    assert json.loads((run / "result.json").read_text())["status"] == "interrupted"
    assert torch.load(run / "checkpoints" / "last.pt", weights_only=True)["step"] == 9
    assert aetrain("resume=run")[0] == 0
    assert_identical(run, aetrain.folder / "reference")


def test_sigusr1_writes_a_checkpoint_and_goes_on(aetrain, monkeypatch):
    log_interval, steps, save = loop.Training.log_interval, [], checkpoint.save

    def signalled(self):
        log_interval(self)
        if self.step == 9:
            os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr(loop.Training, "log_interval", signalled)
    monkeypatch.setattr(
        checkpoint, "save", lambda paths, content: (steps.append(content["step"]), save(paths, content))
    )
    code, out, _ = aetrain(*LINE, "hydra.run.dir=run")
    assert code == 0 and "SIGUSR1 at step 9" in out and 9 in steps


def test_a_second_ctrl_c_stops_at_once():
    from aetrain.training.signals import listening

    before = signal.getsignal(signal.SIGINT)
    with listening() as requests, contextlib.suppress(Interrupted), requests.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        assert requests.stop is signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_folder_in_which_a_process_writes_is_not_resumed(aetrain, done):
    import fcntl

    done(*LINE)
    with open(aetrain.folder / "run" / ".lock", "a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, err = aetrain("resume=run", "trainer.epochs=9", "trainer.max_steps=20")
    assert code == 2 and f"process {os.getpid()} is writing there" in err
    assert aetrain("resume=run", "trainer.epochs=9", "trainer.max_steps=20")[0] == 0


@pytest.mark.parametrize("spelling", ["hydra.run.dir=run", "++hydra.run.dir=run", "hydra.run.dir='run'"])
def test_a_second_run_in_a_used_folder_is_refused(aetrain, done, spelling):
    done(*LINE)
    run = aetrain.folder / "run"
    before = {
        p: p.read_bytes() for p in run.rglob("*.*") if p.is_file() and p.suffix in (".pt", ".json", ".jsonl", ".png")
    }
    code, _, err = aetrain(*LINE, spelling, "seed=1")
    assert code == 2 and "resume=" in err
    assert {p: p.read_bytes() for p in before} == before


def test_a_folder_that_is_no_runs_keeps_its_files(aetrain):
    (aetrain.folder / "mine" / "deep").mkdir(parents=True)
    mine = [aetrain.folder / "mine" / name for name in ("deep/.x.tmp", ".y.tmp", "events.out.tfevents.1.other")]
    for path in mine:
        path.write_text("precious")
    code, _, err = aetrain(*LINE, "hydra.run.dir=mine")
    assert code == 2 and "not a run's" in err
    assert all(path.read_bytes() == b"precious" for path in mine)


def test_another_thread_count_is_said(aetrain, done):
    threads = torch.get_num_threads()
    try:
        done(*LINE, "device.threads=1", "trainer.epochs=1")
        code, out, _ = aetrain("resume=run", "device.threads=2", "trainer.epochs=2")
    finally:
        torch.set_num_threads(threads)
    assert code == 0 and "not to the bit" in out


def test_an_ignored_ctrl_c_stays_ignored(monkeypatch):
    from aetrain.training.signals import listening

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with listening() as requests:
            os.kill(os.getpid(), signal.SIGINT)
            assert requests.stop is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_signals_are_left_alone_outside_the_main_thread():
    from aetrain.training.signals import listening

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=lambda: listening().__enter__())
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_tensorboard_that_is_open_shows_a_resumed_run(tmp_path):
    """It has read on beyond the checkpoint at which the run goes on (tensorboard#4055)."""
    from aetrain.run import Run
    from tests.conftest import compose

    config = compose()
    with Run(tmp_path, config, []).open() as run:
        run.log(1, 0.1, {"train/loss": 1.0})
        run.log(2, 0.2, {"train/loss": 2.0})
        position = run.position()
        for step in range(3, 60):
            run.log(step, 0.3, {"train/loss": 1000.0})
    board = read_events(tmp_path)
    assert len(board.Scalars("train/loss")) == 59

    with Run(tmp_path, config, []).open(position, step=2) as run:
        run.log(3, 0.3, {"train/loss": 3.0})
        board.Reload()
        assert [(e.step, e.value) for e in board.Scalars("train/loss")] == [(1, 1), (2, 2), (3, 3)]
        again = run.position()
        run.log(4, 0.3, {"train/loss": 1000.0})
    with Run(tmp_path, config, []).open(again, step=3) as run:
        run.log(4, 0.4, {"train/loss": 4.0})
    for reader in (board, read_events(tmp_path)):
        reader.Reload()
        assert [(e.step, e.value) for e in reader.Scalars("train/loss")] == [(step, step) for step in (1, 2, 3, 4)]
