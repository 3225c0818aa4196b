"""A run's folder, read back with other people's readers."""

import csv
import json
import math
import shlex

import pytest
import torch
import yaml
from PIL import Image

from aetrain.config.tables import MODELS
from aetrain.training import checkpoint
from tests.conftest import SMALL, build, read_events

TERMS = {
    "ae": {"recon"},
    "dae": {"recon"},
    "sparse": {"recon", "sparsity", "l2"},
    "contractive": {"recon", "contraction"},
    "vae": {"recon", "kl", "nelbo"},
    "beta_vae": {"recon", "kl", "nelbo"},
    "iwae": {"iwae", "recon", "kl", "nelbo"},
    "cvae": {"recon", "kl", "nelbo"},
    "beta_tcvae": {"recon", "kl", "nelbo", "mutual_information", "total_correlation", "dimension_kl"},
    "dip_vae": {"recon", "kl", "nelbo", "off_diagonal", "diagonal"},
    "factor_vae": {"recon", "kl", "nelbo", "log_density_ratio", "discriminator"},
    "wae": {"recon", "mmd"},
    "vq_vae": {"recon", "commitment", "nelbo"},
}
HPARAMS = {"dae": {"corruption_level"}, "sparse": {"rho", "sparsity_weight", "l2_weight"},
           "contractive": {"contraction_weight"}, "beta_vae": {"beta", "recon_weight"},
           "beta_tcvae": {"alpha", "beta", "gamma"}, "dip_vae": {"lambda_od", "lambda_d"},
           "wae": {"mmd_weight"}, "vq_vae": {"commitment_weight", "codebook_decay", "restart_below"},
           "factor_vae": {"gamma"}}  # fmt: skip
VARIATIONAL = {"active_units", "aggregate_kl"}
LATENT = {"sparse": {"mean_activation", "dead_units", "dead_share", "l0"}, "vae": VARIATIONAL, "beta_vae": VARIATIONAL,
          "iwae": VARIATIONAL, "cvae": VARIATIONAL, "beta_tcvae": VARIATIONAL, "dip_vae": VARIATIONAL,
          "factor_vae": VARIATIONAL, "wae": {"active_units"},
          "vq_vae": {"perplexity", "used_codes", "rate", "rate_bound"}}  # fmt: skip


@pytest.mark.parametrize("model", sorted(MODELS))
def test_every_model_writes_the_whole_folder(small_run, model):
    run = small_run(f"model={model}")
    built = build(f"model={model}")
    samples = "samples" if built.prior is not None or built.config.is_discrete else "samples_gaussian"

    # config.yaml: plain data
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["model"]["name"] == model and config["seed"] == 0

    # metrics.jsonl: strict JSON, unweighted terms, monotone steps
    rows = [json.loads(line, parse_constant=pytest.fail) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "train/loss" in row] == [2, 4, 6]
    train = {tag for row in rows for tag in row if tag.startswith("train/")}
    assert train == {"train/loss", *(f"train/{term}" for term in TERMS[model])}
    val = [row for row in rows if "val/loss" in row]
    assert [row["step"] for row in val] == [0, 6] and val[-1]["val/loss"] < val[0]["val/loss"]
    logged = {tag for row in rows for tag in row}
    assert {f"hparam/{name}" for name in HPARAMS.get(model, ())} == {tag for tag in logged if tag.startswith("hparam/")}
    terms = {"loss", *TERMS[model]}
    for split in ("val", "test"):  # every scalar says its split
        found = {tag.partition("/")[2] for tag in logged if tag.startswith(f"{split}/")}
        of_all_codes = {"total_correlation"} if split == "test" and "kl" in terms else set()
        assert found - terms == LATENT.get(model, set()) | (of_all_codes - terms)
    assert not any(tag.startswith("latent/") for tag in logged)
    assert {"optimizer/lr", "optimizer/grad_norm", "speed/images_per_second"} <= logged

    # result.json
    result = json.loads((run / "result.json").read_text(), parse_constant=pytest.fail)
    assert result["status"] == "done" and result["step"] == 6
    assert {"overrides", "config_hash", "versions", "seconds"} <= set(result)
    weights = {name: float(weight) for name, weight in build(f"model={model}").weights().items()}
    total = sum(weight * result["metrics"][f"test/{name}"] for name, weight in weights.items())
    assert result["metrics"]["test/loss"] == pytest.approx(total, rel=1e-6)

    # checkpoints: tensors and plain data only
    for name in ("last", "best"):
        content = torch.load(run / "checkpoints" / f"{name}.pt", weights_only=True)
        assert content["step"] == 6 and content["config"] == config
        build(f"model={model}").load_state_dict(content["model"])

    # grids, named <what>_<epoch>
    grids = {"reconstructions", samples} | ({"traversals"} if built.prior is not None else set())
    grids |= {"kl_per_dimension"} if "kl" in TERMS[model] else set()
    grids |= {"filters"} if config["net"]["name"] == "linear" else set()
    assert {p.name for p in (run / "grids").iterdir()} == {f"{grid}_0001.png" for grid in grids}
    with Image.open(run / "grids" / "reconstructions_0001.png") as grid:
        left, width, _, scale = map(int, grid.info["drawn"].split())
        lines = 12 if model == "dae" else 8
        assert (grid.info["tiles"], scale, width) == (f"{lines}x8", 3, 8 * 86 + 2)
        assert grid.width == left + 8 * 86 + 2 and grid.height > lines * 86 + 2

    # a row of results.csv for each epoch: its last validation, and the means of its training steps
    with open(run / "results.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["epoch"], row["step"]) == ("1", "6")
    assert float(row["val/loss"]) == val[-1]["val/loss"] and float(row["train/loss"]) > 0
    assert not (run / "curves.png").exists()  # one epoch is no curve

    # TensorBoard
    events = read_events(run)
    tags = events.Tags()
    assert {tag for tag in logged if "/" in tag} == {t for t in tags["scalars"] if not t.startswith("hp_metric")}
    for row in rows:
        for tag in row.keys() & {"train/loss", "val/recon"}:
            values = {e.step: e.value for e in events.Scalars(tag)}
            assert values[row["step"]] == pytest.approx(row[tag], rel=1e-6)
    assert set(tags["images"]) == {f"weights/{grid}" if grid == "filters" else f"grids/{grid}" for grid in grids}
    assert any(tag.startswith("latent/") for tag in tags["histograms"])
    card = events.Tensors("run/text_summary")[0].tensor_proto.string_val[0].decode()
    assert f"model={model}" in card and "trainer.max_steps=6" in card
    assert (run / ".hydra" / "overrides.yaml").is_file() and "epoch 1/10" in (run / "aetrain.log").read_text()


def test_one_hparams_row_in_the_same_run(small_run):
    from tensorboard.plugins.hparams import plugin_data_pb2

    run = small_run("model=beta_vae", "model.beta=3")
    content = read_events(run).summary_metadata
    assert not [p for p in run.iterdir() if p.is_dir() and list(p.glob("events.*"))]
    start = plugin_data_pb2.HParamsPluginData.FromString(
        content["_hparams_/session_start_info"].plugin_data.content
    ).session_start_info
    hparams = dict(start.hparams)
    assert hparams["model.beta"].number_value == 3 and hparams["seed"].number_value == 0
    assert hparams["trainer.clip_norm"].string_value == "null"  # None would drop the row
    assert "_hparams_/session_end_info" in content and "_hparams_/experiment" not in content


def test_beta_does_not_enter_the_logged_terms(small_run):
    """Terms are logged unweighted, so that at the start they are the same for every beta."""
    rows = []
    for beta in (1, 50):
        run = small_run("model=beta_vae", f"model.beta={beta}", folder=f"beta{beta}")
        rows.append(json.loads((run / "metrics.jsonl").read_text().splitlines()[0]))
    first, second = rows
    assert first["val/kl"] == second["val/kl"] and first["val/recon"] == second["val/recon"]
    assert second["val/loss"] == pytest.approx(second["val/recon"] + 50 * second["val/kl"], rel=1e-6)
    assert second["val/nelbo"] == first["val/nelbo"]


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_runs_with_one_seed_are_identical_to_the_bit(small_run, precision):
    runs = [
        small_run(f"device.precision={precision}", f"seed={seed}", folder=f"{i}") for i, seed in enumerate((0, 0, 1))
    ]
    one, two, other = (checkpoint.load(run / "checkpoints" / "last.pt")["model"] for run in runs)
    assert same(one, two) and not same(one, other)


def test_evaluating_and_drawing_more_often_changes_nothing(small_run):
    often = small_run("trainer.epochs=3", "trainer.max_steps=18", "trainer.grid_epochs=1", folder="often")
    seldom = small_run("trainer.epochs=3", "trainer.max_steps=18", "trainer.checkpoint_epochs=3", "trainer.log_every=7",
                       "trainer.eval_batch_size=33", folder="seldom")  # fmt: skip
    assert same(*(checkpoint.load(run / "checkpoints" / "last.pt")["model"] for run in (often, seldom)))
    results = [json.loads((run / "result.json").read_text())["metrics"] for run in (often, seldom)]
    assert results[0]["test/loss"] == pytest.approx(results[1]["test/loss"], rel=1e-6)


def test_without_validation_images(small_run):
    run = small_run("data.val_size=0")
    assert {p.name for p in (run / "checkpoints").iterdir()} == {"last.pt"}
    metrics = json.loads((run / "result.json").read_text())["metrics"]
    assert "test/loss" in metrics and "test/active_units" in metrics and not any("val/" in tag for tag in metrics)


def test_early_stopping_keeps_the_best(small_run):
    run = small_run("optimizer.lr=0.3", "trainer.max_steps=null", "trainer.epochs=40", "trainer.patience=2", "model=ae",
                    "optimizer=sgd")  # fmt: skip
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    curve = {row["step"] // 6: row["val/loss"] for row in rows if "val/loss" in row and row["step"]}
    best = min(curve, key=curve.get)
    assert len(curve) == best + 2 < 40  # stopped two epochs after the best
    saved = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    assert saved["epoch"] == best and saved["step"] == 6 * best
    assert saved["optimizer"]["state"] and json.loads((run / "result.json").read_text())["best"]["epoch"] == best


def test_clipping_and_schedules_reach_the_log(small_run):
    run = small_run("optimizer.schedule.kind=cosine", "trainer.clip_norm=0.1")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rates = {row["step"]: row["optimizer/lr"] for row in rows if "optimizer/lr" in row}
    for step, rate in rates.items():  # the rate of the step that has just been made
        assert rate == pytest.approx(1e-3 * 0.5 * (1 + math.cos(math.pi * (step - 1) / 6)))


def test_a_diverging_run_stops_names_the_step_and_keeps_its_checkpoint(aetrain):
    code, _, err = aetrain(*SMALL, "model=ae", "model.output=identity", "optimizer=sgd", "optimizer.lr=1e6",
                           "trainer.max_steps=40", "trainer.epochs=50", "hydra.run.dir=run")  # fmt: skip
    assert code == 1 and err.count("\n") == 1
    assert "not finite at step" in err and "optimizer.lr" in err and "last.pt" in err
    content = checkpoint.load(aetrain.folder / "run" / "checkpoints" / "last.pt")
    assert all(torch.isfinite(value).all() for value in content["model"].values())
    assert json.loads((aetrain.folder / "run" / "result.json").read_text())["status"] == "failed"


def test_a_last_update_that_leaves_no_finite_loss_is_told(aetrain):
    """Infinity once reached result.json's lists, and ended in a traceback; here it is the last step that diverges."""
    words = ["data.limit=2000", "trainer.max_steps=3", "optimizer.lr=2", "device=cpu", "hydra.run.dir=run"]
    code, _, err = aetrain(*words)
    assert code == 1 and err.count("\n") == 1 and "diverged: test/loss is not finite after step 3" in err
    result = json.loads((aetrain.folder / "run" / "result.json").read_text(), parse_constant=pytest.fail)
    assert result["status"] == "failed"
    again, _, err = aetrain("resume=run")
    assert again == 1 and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (["trainer.epochs=2", "trainer.max_steps=null"], [5, 10]),  # of 250 images
        (["trainer.max_steps=7"], [5, 7]),
        (["trainer.max_steps=3"], [3]),
        (["trainer.max_steps=7", "trainer.log_every=5"], [5]),
        (["trainer.max_steps=7", "trainer.log_every=3"], [3, 6]),
    ],
)
def test_an_epoch_that_is_shorter_than_log_every_has_a_row(aetrain, words, steps):
    line = ["data.limit=250", "data.val_size=100", "trainer.batch_size=50", "net.hidden=[8]", "device=cpu"]
    code, _, err = aetrain(*line, *words, "hydra.run.dir=run")
    assert code == 0, err
    rows = [json.loads(line) for line in (aetrain.folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "train/loss" in row] == steps
    assert [e.step for e in read_events(aetrain.folder / "run").Scalars("train/loss")] == steps


def test_a_command_that_is_told_can_be_pasted(aetrain):
    folder = aetrain.folder / "a run's"
    line = [*SMALL, f'hydra.run.dir="{folder}"']
    assert aetrain(*line)[0] == 0
    code, _, err = aetrain(*line)
    told = shlex.split(err[err.index("aetrain resume=") : err.index(" or give another")])
    assert code == 2 and aetrain(*told[1:])[:2] == (0, f"nothing to do: {folder} has finished (6 steps); add "
                                                       "trainer.epochs=N to train longer\n")  # fmt: skip
    assert aetrain("train", *told[1:])[0] == 0  # the verb says nothing new


def test_a_mistake_that_shows_in_the_data_leaves_no_folder(aetrain):
    (aetrain.folder / "images").mkdir()
    for i in range(9):
        Image.effect_noise((20, 20), 50).save(path := aetrain.folder / "images" / f"{i}.png")
    path.write_bytes(path.read_bytes()[:200])  # whose header is whole
    code, _, err = aetrain("data=folder", "data.path=images", "data.size=8", "device=cpu")
    assert code == 2 and "1 of 9 files cannot be decoded" in err and not list(aetrain.folder.glob("outputs/vae/*"))
