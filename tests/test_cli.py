"""The command line's contract: exit codes, one-line errors, nothing left behind, no torch before it is needed."""

import multiprocessing
import os
import resource
import subprocess

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aetrain.cli import main
from aetrain.config.tables import MODELS, TASKS
from tests.conftest import PYTHON, SMALL, longer

FULL = "model=ae optimizer=lbfgs data.limit=300 trainer.batch_size=300"  # all of 300 training images at every step
MISTAKES = [
    # (command line, what the line must name, what it must suggest)
    ("model=betavae", "model=betavae", "beta_vae"),
    ("model=beta_vae model.betta=4", "model.betta", "beta"),
    ("model.betta=4", "model.betta", "model=beta_vae model.beta=4"),
    ("model=beta_vae model.beta=abc", "model.beta=abc", "a number"),
    ("model=beta_vae model.beta=-1", "model.beta=-1", "at least 0"),
    ("model.beta=-1", "model.beta", "model=beta_vae"),
    ("model=sparse model.rho=1.5", "model.rho=1.5", "less than 1"),
    ("trainer.epochs=0", "trainer.epochs=0", "at least 1"),
    ("trainer.epochs=1.5", "trainer.epochs=1.5", "whole number"),
    ("trainer.batch_size=0", "trainer.batch_size=0", "at least 1"),
    ("trainer.batch_size=100000", "trainer.batch_size=100000", "at most 50000"),
    ("data.limit=50", "trainer.batch_size=128", "at most 50"),
    ("optimizer.lr=nan", "optimizer.lr=nan", "finite"),
    ("optimizer.lr=inf", "optimizer.lr=inf", "finite"),
    ("optimizer.betas=[0.9]", "optimizer.betas", "[0.9,0.999]"),
    ("device.precision=fp16 device=cpu", "device.precision=fp16", "bf16"),
    ("device.precision=tf32 device=cpu", "device.precision=tf32", "fp32"),
    ("data.val_size=60000", "data.val_size=60000", "10000"),
    ("data.val_size=0 trainer.patience=3", "trainer.patience=3", "data.val_size=10000"),
    ("model.latent_dim=0", "model.latent_dim=0", "at least 1"),
    ("net.hidden=[3,0]", "net.hidden=[3,0]", "at least 1"),
    ("net.hidden=[]", "net.hidden=[]", "at least one"),
    ("+model.extra=1", "model.extra", "latent_dim"),
    ("+extra=1", "extra", "seed"),
    ("model=ae model.beta=4", "model.beta", "model=beta_vae"),
    ("model=beta_vae model.name=vae", "model.name=vae", "model=…"),
    ("model=sparse model.penalty=l1 model.rho=0.1", "model.rho", "model.penalty=kl"),
    ("model=sparse model.code_activation=relu", "model.code_activation=relu", "sigmoid"),
    ("model=sparse model.penalty=l1 model.tied=true", "model.penalty=l1", "model.tied=false"),
    ("model=sparse model.l2_weight=0.1 optimizer=adamw", "optimizer.weight_decay", "optimizer.weight_decay=0"),
    ("model=contractive net=conv", "model.tied=true", "linear"),
    ("model=dae model.corruption_level=1.5", "model.corruption_level=1.5", "at most 1"),
    ("model.sigma=2", "model.sigma", "gaussian"),
    ("optimizer.schedule.length=0.3", "optimizer.schedule.length", "linear"),
    ("optimiser.lr=1", "optimiser", "optimizer"),
    ("seed=-1", "seed=-1", "at least 0"),
    ("seed=99999999999999999999", "seed", "at most"),
    ("model.latent_dim=99999999999999999999", "model.latent_dim", "at most 2147483647"),
    ("net.hidden=[99999999999999999999]", "net.hidden", "at most 2147483647"),
    ("device.threads=99999999", "device.threads", "at most 1024"),
    ("~seed", "seed", "a value"),
    ("task=nope", "task=nope", "train"),
    ("trainer.epochs", "trainer.epochs", ""),
    ("model=vae,ae", "model=vae,ae", "--multirun"),
    ("--foo", "--foo", "--help"),
    ("--config-dir /nonexistent", "/nonexistent", ""),
    ("--experimental-rerun x.pickle", "--experimental-rerun", ""),
    ("-m model=beta_vae model.beta=1,-1", "model.beta=-1", "at least 0"),
    ("-m model=vae,aee", "model=aee", "choose from: ae"),
    ("device=cpu device.index=3", "device.index", "device.name=cuda"),
    ("+net.is_dense=true", "net.is_dense", "unknown key"),
    ("model.arch=conv", "model.arch", "it is now net=linear, net=mlp or net=conv"),
    ("model.hidden=[3]", "model.hidden", "it is now net.hidden"),
    ("model=sparse model.weight_decay=1", "model.weight_decay", "it is now model.l2_weight"),
    ("optimizer.schedule.gamma=0.5", "gamma", "it is now optimizer.schedule.factor"),
    ("model.likelihood=gaussian model.schedule.sigma.kind=cosine", "model.schedule.sigma", "greater than 0"),
    ("model.schedule.sigma.kind=linear", "model.schedule.sigma", "no part"),
    ("model=sparse model.schedule.rho.kind=linear model.schedule.rho.start=30", "model.rho to 1.5", "less than 1"),
    ("optimizer=lbfgs model=ae", "trainer.batch_size=128", "trainer.batch_size=50000"),
    (f"{FULL} model=dae", "model=dae", "optimizer=adam"),
    (f"{FULL} model=vae", "model=vae", "optimizer=adam"),
    (f"{FULL} model=sparse model.rho_hat=ema", "model.rho_hat=ema", "optimizer=adam"),
    (f"{FULL} model=contractive model.estimator=hutchinson", "model.estimator=hutchinson", "optimizer=adam"),
    (f"{FULL} data.binarization=dynamic", "data.binarization=dynamic", "optimizer=adam"),
    (f"{FULL} optimizer.schedule.kind=cosine", "optimizer.schedule.kind=cosine", "optimizer=adam"),
    (f"{FULL} model.schedule.sigma.kind=cosine", "model.schedule.sigma.kind=cosine", "optimizer=adam"),
    (f"{FULL} device.precision=bf16", "device.precision=bf16", "fp32"),
    (f"{FULL} trainer.clip_norm=1", "trainer.clip_norm=1.0", "optimizer=adam"),
    (f"{FULL} trainer.cuda_graph=true", "trainer.cuda_graph=true", "optimizer=adam"),
    (f"{FULL} optimizer.betas=[0.9,0.9]", "optimizer.betas", "optimizer=adam optimizer.betas=[0.9,0.9]"),
    ("task=classify task.fine_tune_iterations=5", "task.fine_tune_iterations", "task.fine_tune_optimizer=lbfgs"),
    ("hydra.run.dir=/proc/nowhere", "/proc/nowhere", "hydra.run.dir"),
]


@pytest.mark.parametrize(("line", "names", "suggests"), MISTAKES, ids=[line for line, *_ in MISTAKES])
def test_a_mistake_is_one_line_and_leaves_nothing(aetrain, line, names, suggests):
    code, out, err = aetrain(*line.split())
    assert code == 2 and out == ""
    assert err.startswith("aetrain: error: ") and err.count("\n") == 1
    assert names in err and suggests in err
    assert not [p for p in aetrain.folder.rglob("*") if p.is_file()]
    assert not list((aetrain.folder / "outputs").glob("*/*"))


@pytest.mark.skipif(os.path.exists("/dev/nvidia0"), reason="needs a machine without a GPU")
def test_cuda_without_a_gpu(aetrain):
    code, _, err = aetrain("device=cuda")
    assert code == 2 and "device=cuda" in err and "device=cpu" in err and err.count("\n") == 1


def test_torch_is_not_imported_before_it_is_needed(tmp_path):
    lines = ["--version", "--help", "model=sparse --help", "--cfg job", "model=betavae"]
    lines += [] if os.path.exists("/dev/nvidia0") else ["device=cuda"]  # refused where there is no GPU
    program = """
import sys
from aetrain.cli import main
for line in sys.argv[1:]:
    main(line.split())
    if "torch" in sys.modules:
        sys.exit(f"imported by {line}")
"""
    done = subprocess.run([PYTHON, "-c", program, *lines], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


def test_help_names_every_model_and_leaves_out_internals(aetrain):
    code, out, _ = aetrain("--help")
    words = " ".join(out.split())
    assert code == 0 and f"model: {', '.join(sorted(MODELS))}" in words
    assert f"task: {', '.join(sorted(TASKS))}" in words
    assert "schema" not in out and "hydra/" not in out and "_shared" not in out


def test_help_shows_the_schedule_that_a_model_has_by_default(aetrain):
    assert "model.schedule.mmd_weight.length=0.1 " in aetrain("--help", "model=wae")[1]
    assert "model.schedule.beta.length" not in aetrain("--help", "model=beta_vae")[1]


def test_version(aetrain):
    from aetrain import __version__

    assert aetrain("--version") == (0, f"aetrain {__version__}\n", "")


@pytest.mark.longer
def test_runs_started_together_do_not_share_a_folder(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["aetrain.sweeps.launch.preload"])  # torch is imported once for both
    with context.Pool(2, initializer=os.chdir, initargs=[tmp_path]) as pool:
        assert pool.map(main, [[*SMALL, "trainer.max_steps=1"]] * 2, chunksize=1) == [0, 0]
    assert len(list((tmp_path / "outputs" / "vae").iterdir())) == 2


# --- generated mistakes

KEYS = [
    "model.beta", "model.latent_dim", "trainer.epochs", "trainer.batch_size", "optimizer.lr", "seed", "data.val_size",
    "net.hidden", "device.precision", "optimizer.betas", "trainer.clip_norm", "data.limit", "model", "task", "data",
    "model.betta", "nonsense", "optimizer.schedule.kind", "resume",
]  # fmt: skip
BAD_VALUES = [
    "-1",
    "nan",
    "-inf",
    "abc",
    "[",
    "{a:1}",
    "${oops}",
    "'",
    "1e999",
    "[-3]",
    "???",
    "%",
    "a=b",
    "[[1]]",
    ":",
    "}",
]
BAD = st.builds("{}{}={}".format, st.sampled_from(["", "+", "++"]), st.sampled_from(KEYS), st.sampled_from(BAD_VALUES))
GARBAGE = st.text(st.characters(codec="ascii", exclude_characters="\x00"), min_size=1, max_size=12).filter(
    lambda t: "=" not in t and not t.startswith("-")
)
# Every example runs the whole command line: shrinking a failure would take minutes.
GENERATE = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, phases=[Phase.generate])
LINES = st.lists(BAD | GARBAGE, min_size=1, max_size=3)


@pytest.mark.parametrize("examples", [60, longer(400)])
def test_generated_mistakes_never_give_a_traceback(aetrain, monkeypatch, examples):
    monkeypatch.setattr("aetrain.jobs.run_job", lambda **_: pytest.fail("it is no mistake"))

    @settings(GENERATE, max_examples=examples)
    @given(LINES)
    def tried(line):
        code, out, err = aetrain(*line)
        assert code == 2 and out == "" and err.startswith("aetrain: error: ") and err.count("\n") == 1, (line, out, err)
        assert not list(aetrain.folder.iterdir()), line

    tried()


def processor_seconds():
    """Of all processes that this one has started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("count", [2, longer(20)])
def test_some_of_them_as_processes(tmp_path, count):
    mistakes = [line for line, *_ in MISTAKES][:: 40 // count][:count]
    assert len(mistakes) == count
    for line in mistakes:
        began = processor_seconds()  # not the clock's, which a busy machine stretches
        command = [PYTHON, "-m", "aetrain", *line.split()]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr, line
        assert processor_seconds() - began < 2, line
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]
