"""Every experiment composes and runs a few steps; its file says how to start it, how long it takes, what to expect."""

import json
import re

import pytest

from aetrain.config.conf import CONF
from tests.conftest import SMALL, compose

EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
QUICK = {
    "linear": ["task.code_sizes=[2]"],
    "classify": ["task.layers=[12]"],
}


def test_the_published_rows_have_their_experiments():
    on_cpu = {"linear_pca", "pca_30", "linear_vae", "examples_vae", "examples_vae_mean", "sparse_ng"}
    assert on_cpu | {"deep_ae", "iwae", "static_vae", "vamp_vae", "contractive", "k_sparse"} <= set(EXPERIMENTS)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_runs_a_few_steps(name, aetrain):
    config = compose(f"experiment={name}")
    quick = list(QUICK.get(config.task.name, []))
    quick += ["trainer.nll_samples=5"] if config.trainer.nll_samples else []
    if config.optimizer.name == "lbfgs":
        quick += ["trainer.batch_size=300", "optimizer.iterations=2", "task.fine_tune_iterations=5"]
    elif getattr(config.task, "fine_tune", False):
        quick += ["task.fine_tune_epochs=1"]
    quick += ["trainer.patience=null", "trainer.test=last"] if config.trainer.patience else []
    quick += ["model.k=3"] if getattr(config.model, "penalty", "") == "topk" else []
    code, _out, err = aetrain(f"experiment={name}", *SMALL, *quick, "data.val_size=0", "hydra.run.dir=run")
    assert code == 0, err
    result = json.loads((aetrain.folder / "run" / "result.json").read_text())
    assert result["status"] == "done"
    assert all(value == value for value in result["metrics"].values())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_its_file_opens_with_command_time_and_number(name):
    head = (CONF / "experiment" / f"{name}.yaml").read_text().partition("defaults:")[0]
    assert head.startswith("# @package _global_\n")
    assert re.search(rf"^#   aetrain (-m )?experiment={name}\b", head, re.MULTILINE)
    assert "# Time: " in head and re.search(r"^# Expected: .*\d", head, re.MULTILINE)


def test_stages_have_run_folders_of_their_own(aetrain):
    code, _out, err = aetrain(
        "experiment=sparse_ng",
        *SMALL,
        "trainer.batch_size=300",
        "optimizer.iterations=5",
        "task.layers=[12,8]",
        "task.fine_tune_iterations=25",
        "hydra.run.dir=run",
    )
    assert code == 0, err
    for layer, pixels in (("layer1", 784), ("layer2", 12)):
        result = json.loads((aetrain.folder / "run" / layer / "result.json").read_text())
        assert result["status"] == "done" and result["metrics"]["test/recon"] < pixels
    metrics = json.loads((aetrain.folder / "run" / "result.json").read_text())["metrics"]
    before = (aetrain.folder / "run" / "layer1" / "metrics.jsonl").read_text().splitlines()[:-1]
    code, out, err = aetrain("resume=run")  # the stages that are done are not trained again
    assert code == 0 and "epoch" not in out.partition("softmax")[0], err
    assert (aetrain.folder / "run" / "layer1" / "metrics.jsonl").read_text().splitlines()[:-1] == before
    again = json.loads((aetrain.folder / "run" / "result.json").read_text())["metrics"]
    assert again == metrics
    assert 0 <= metrics["fine_tuned/test_error"] <= 100 and 0 <= metrics["softmax/test_error"] <= 100


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["task=linear"], "task=linear: needs model=ae"),
        (["task=linear", "model=ae", "net=linear"], "task=linear: needs model=ae"),
        (["task=classify", "task.layers=[9,9]", "model=ae", "net=conv"], "stacks layers on codes"),
        (["model=ae", "trainer.nll_samples=10"], "model=ae has no density"),
        (["model=iwae", "model.z_in_evaluation=mean"], "model=iwae averages over samples"),
        (["model=beta_vae", "model.capacity=3", "model.beta=2"], "model.beta has no effect with model.capacity=3.0"),
        (["model=beta_vae", "model.gamma=2"], "model.gamma has no effect with model.capacity=null: it needs"),
        (["model=sparse", "model.penalty=topk", "model.k=2000"], "the code has only model.latent_dim=1024"),
        (["experiment=k_sparse", "task.layers=[12]"], "the code has only model.latent_dim=12"),
        (["experiment=linear_pca", "task.name=classify"], "choose the task with task="),
        (
            ["model=ae", "prior=vamp"],
            "prior=vamp: model=ae takes none; give model=vae, beta_vae,",
        ),
        (["model=sparse", "prior.components=3"], "prior.components=3: model=sparse takes none"),
        (["prior.components=3"], "did you mean prior=mixture prior.components=3 or prior=vamp prior.components=3?"),
        (["prior=vampprior"], "did you mean prior=vamp?"),
        (["prior=vamp", "prior.components=0"], "prior.components=0: it must be at least 1"),
        (["prior=vamp", "model.z_in_evaluation=mean"], "with prior=vamp the KL has no closed form"),
        (
            [
                "task=linear",
                "model=vae",
                "net=linear",
                "model.likelihood=gaussian",
                "model.output=identity",
                "prior=mixture",
            ],
            "prior=normal",
        ),
        (["model=vae", "model.likelihood=squared_error"], "model.likelihood=squared_error"),
        (["model=vae", "model.sigma_mode=learned"], "model.sigma_mode has no effect"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(overrides, line, aetrain):
    code, _out, err = aetrain(*overrides)
    assert code == 2 and line in err and err.count("\n") == 1
    assert not list(aetrain.folder.iterdir())


def test_a_collapse_is_told_at_the_end_of_a_run(aetrain):
    code, out, err = aetrain(
        "model=beta_vae", "model.beta=1000", "net.hidden=[20]", "optimizer.lr=0.01", "data.limit=300",
        "trainer.batch_size=50", "trainer.epochs=20", "device=cpu", "hydra.run.dir=run",
    )  # fmt: skip
    assert code == 0, err
    assert "posterior collapse: none of the 20 latent dimensions is active" in out
    latent = json.loads((aetrain.folder / "run" / "result.json").read_text())["latent"]
    assert len(latent["kl_per_dimension"]) == 20 and max(latent["kl_per_dimension"]) < 0.1


def test_the_test_splits_nll_is_below_its_bound(aetrain):
    code, _out, err = aetrain(
        "model=vae", "data.limit=200", "data.binarization=static", "trainer.batch_size=50", "trainer.epochs=3",
        "trainer.nll_samples=100", "device=cpu", "hydra.run.dir=run",
    )  # fmt: skip
    assert code == 0, err
    metrics = json.loads((aetrain.folder / "run" / "result.json").read_text())["metrics"]
    assert 0 < metrics["test/nll"] < metrics["test/nelbo"]
    assert metrics["test/bits_per_dim"] == pytest.approx(metrics["test/nelbo"] / (784 * 0.6931472), rel=1e-5)
