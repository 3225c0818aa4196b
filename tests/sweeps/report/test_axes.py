"""What a report takes for swept: the keys in which resolved configurations differ, whatever was typed."""

import shutil

import pytest
import yaml

from aetrain.config.stored import renamed
from aetrain.sweeps.report.analysis import analyse
from aetrain.sweeps.report.axes import Axis
from aetrain.sweeps.report.read import find
from tests.sweeps.report.synthetic import config, member, plan, report, sweep_folder


def swept(tmp_path, *runs: list[str]) -> dict:
    sweep = sweep_folder(tmp_path / "s")
    for i, words in enumerate(runs):
        member(sweep, f"{i}_m", words, {"test/recon": 50.0 + i})
    return report(sweep)


def test_null_is_a_value_like_any_other(tmp_path):
    data = swept(tmp_path, ["model=ae"], ["model=ae", "trainer.clip_norm=0.001"])
    assert data["swept"] == {"trainer.clip_norm": [None, 0.001]}
    assert [a["values"] for a in data["aggregates"]] == [{"trainer.clip_norm": None}, {"trainer.clip_norm": 0.001}]
    assert [a["metrics"]["test/recon"]["n"] for a in data["aggregates"]] == [1, 1]


@pytest.mark.parametrize(
    ("key", "values", "proposed"),
    [
        ("trainer.clip_norm", [10, None, 0.1, 1], "trainer.clip_norm=0.316,3.16"),
        ("data.limit", [None, 1000, 5000, 2000], "data.limit=1414,3162"),
    ],
)
def test_null_among_numbers_comes_first_and_is_no_obstacle(tmp_path, key, values, proposed):
    """A corner at the middle number; null's own value lies off the curve."""
    sweep = sweep_folder(tmp_path / "s")
    numbers = sorted(v for v in values if v is not None)
    for i, value in enumerate(values):
        recon = 70.0 if value is None else [90.0, 50.0, 50.0][numbers.index(value)]
        member(sweep, f"{i}_m", ["model=ae", f"{key}={'null' if value is None else value}"], {"test/recon": recon})
    data = report(sweep)
    assert data["swept"] == {key: [None, *numbers]}
    assert [s["override"] for s in data["suggestions"]] == [proposed]
    assert f"The dotted line is {key}=null" in (sweep / "report.html").read_text()
    assert f"{key}=" not in data["suggestions"][0]["command"].replace(proposed, "")


@pytest.mark.parametrize(
    ("values", "is_numeric", "is_log"),
    [
        ((0.5, 1, 16), True, True),
        ((1, 9), True, False),
        ((0, 1, 100), True, False),
        ((None, 0.1, 10), True, True),
        ((None, 0.1), False, False),
        ((1, "a"), False, False),
        ((False, True), False, False),
    ],
)
def test_positive_numbers_over_a_decade_or_more_are_drawn_on_a_logarithmic_scale(values, is_numeric, is_log):
    axis = Axis("model.beta", values)
    assert (axis.is_numeric, axis.is_log) == (is_numeric, is_log)


def test_units_are_told_where_they_are_known(tmp_path):
    """A reconstruction term is in nats where the likelihood is; one of either kind is in neither."""
    for name, models in {"vae": ["vae"], "ae": ["ae"], "both": ["ae", "vae"]}.items():
        for i, model in enumerate(models):
            member(sweep_folder(tmp_path / name), f"{i}_m", [f"model={model}"], {"test/recon": 1.0, "test/kl": 1.0})
    units = {name: analyse(*find(tmp_path / name)).unit("test/recon") for name in ("vae", "ae", "both")}
    assert units == {"vae": "nats", "ae": "squared pixel units", "both": None}
    whole = analyse(*find(tmp_path / "vae"))
    assert (whole.unit("test/kl"), whole.unit("val/active_units")) == ("nats", None)


def test_many_keys_at_once(tmp_path):
    """As in a search over everything: all keys are in the tables, some are drawn."""
    sweep = sweep_folder(tmp_path / "s")
    for i in range(3):
        words = [f"trainer.{key}={i + 1}" for key in ("epochs", "batch_size", "log_every", "grid_epochs", "patience")]
        words += [f"optimizer.{key}={0.1 * (i + 1)}" for key in ("lr", "eps", "momentum", "weight_decay")]
        member(sweep, f"{i}_m", ["model=ae", *words], {"test/recon": 9.0 + i})
    assert len(report(sweep)["swept"]) == 9 and len(list((sweep / "report").iterdir())) == 8
    page = (sweep / "report.html").read_text()
    assert "Of the 9 keys in which these runs differ, 8 are drawn." in page and "and 5 more</h1>" in page


def test_a_failure_at_null_is_told(tmp_path):
    sweep = sweep_folder(tmp_path / "s")
    for i, value in enumerate(("null", 0.1, 1)):
        status = {"status": "failed", "reason": "diverged"} if value == "null" else {}
        member(sweep, f"{i}_m", ["model=ae", f"trainer.clip_norm={value}"], {"test/recon": 5.0}, **status)
    report(sweep)
    page = (sweep / "report.html").read_text()
    assert "No run with trainer.clip_norm=null got done." in page and "× marks" not in page


def test_one_and_one_point_zero_are_one_value(tmp_path):
    data = swept(tmp_path, *(["model=beta_vae", f"model.beta={b}", f"seed={s}"] for s, b in enumerate(("1", "1.0"))))
    assert data["swept"] == {} and data["aggregates"][0]["metrics"]["test/recon"]["n"] == 2


def test_where_a_run_ran_is_no_axis(tmp_path):
    words = (["model=ae", f"data.root=/{i}", f"device.threads={i + 1}", f"device.index={i}"] for i in range(2))
    data = swept(tmp_path, *words)
    assert data["swept"] == {}
    (only,) = data["aggregates"]  # the two are one run that was made again: the last counts
    assert only["metrics"]["test/recon"] == {"mean": 51.0, "std": None, "n": 1}


def test_a_whole_number_that_no_array_holds_is_drawn(tmp_path):
    data = swept(tmp_path, *(["model=vae", f"trainer.log_every={n}"] for n in (1, 10**20)))
    assert data["swept"] == {"trainer.log_every": [1, 1e20]}


def test_what_follows_from_a_group_is_no_axis(tmp_path):
    """vae and sparse differ in networks, sizes and keys; all that was chosen is the model."""
    data = swept(tmp_path, ["model=vae"], ["model=sparse"])
    assert data["swept"] == {"model": ["vae", "sparse"]}


def test_a_key_that_only_one_of_the_models_has_can_be_swept(tmp_path):
    data = swept(tmp_path, *(["model=sparse", f"model.rho={rho}"] for rho in (0.02, 0.1)), ["model=vae"])
    assert data["swept"] == {"model": ["sparse", "vae"], "model.rho": [0.02, 0.1]}
    assert {"model": "vae"} in [a["values"] for a in data["aggregates"]]


def test_a_model_and_its_networks_swept_together(tmp_path):
    nets = ("mlp", "linear")
    runs = ([f"model={model}", f"net={net}"] for model in ("vae", "ae") for net in nets)
    assert swept(tmp_path, *runs)["swept"] == {"model": ["vae", "ae"], "net": ["mlp", "linear"]}


def test_runs_of_two_versions_do_not_differ_in_what_one_lacks(tmp_path):
    data = swept(tmp_path, ["model=ae"], ["model=ae", "trainer.added_since=5"])
    assert data["swept"] == {}


def test_the_folder_of_any_runs(aetrain):
    """outputs/<model>, where every run has its time for a name."""
    folder = aetrain.folder / "outputs" / "ae"
    for i, lr in enumerate((0.1, 0.001, 0.01)):
        member(folder, f"2026-11-2{i}_10-00-00-000000", ["model=ae", f"optimizer.lr={lr}"], {"test/recon": 9.0 - i})
    (folder / "notes").mkdir()
    code, out, err = aetrain("task=report", "run=outputs/ae")
    assert (code, err) == (0, "") and out.split()[0] == "outputs/ae/report.html"
    data = report(folder)
    assert data["swept"] == {"optimizer.lr": [0.001, 0.01, 0.1]} and len(data["members"]) == 3
    page = (folder / "report.html").read_text()
    assert "<h1>Runs by optimizer.lr</h1>" in page and "3 runs: 3 done" in page
    assert "hydra.sweep.dir" not in page  # new runs would not be of a sweep that is none


def test_planned_runs_are_waiting_and_their_own_configuration_wins(tmp_path):
    sweep = sweep_folder(tmp_path / "s")
    member(sweep, "0_a", ["model=beta_vae", "model.beta=2"], {"test/recon": 1.0})
    elsewhere = member(tmp_path, "elsewhere", ["model=beta_vae", "model.beta=64"], {"test/recon": 1.0})
    (sweep / "3_link").symlink_to(elsewhere)
    names = ["0_a", "1_b", "../elsewhere", str(elsewhere), "a/../../elsewhere", "", "3_link", "4\0", "\ud800"]
    plan(sweep, {name: config("model=beta_vae", f"model.beta={i + 8}") for i, name in enumerate(names)})
    data = report(sweep)
    assert [(m["member"], m["status"]) for m in data["members"]] == [
        ("0_a", "done"), ("1_b", "waiting"), ("3_link", "waiting"),
    ]  # fmt: skip
    assert [m["values"]["model.beta"] for m in data["members"]] == [2, 9, 14]  # 64 has not been read
    assert "link" in data["members"][2]["reason"]
    (sweep / "sweep.json").write_text('{"format": 1, "members": [')
    data = report(sweep)
    assert [m["member"] for m in data["members"]] == ["0_a"]
    assert "Runs that have not started are not listed" in (sweep / "report.html").read_text()
    shutil.rmtree(sweep / "0_a")


def test_a_key_that_is_a_group_in_one_run_and_a_value_in_another(tmp_path):
    sweep = sweep_folder(tmp_path / "s")
    for i, tree in enumerate(
        ({"model": "vae"}, {"model": "ae"}, {"model": {"name": "vae"}}, {"model": {"name": "ae"}})
    ):
        folder = member(sweep, f"{i}_m", ["model=vae"], {"test/recon": 1.0})
        (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    assert report(sweep)["swept"] == {"model": ["vae", "ae"]}


# --- the first generation


def test_what_was_called_latent_is_shown_under_its_split(tmp_path):
    """It came from the validation split, from the test split where that was empty."""
    sweep = sweep_folder(tmp_path / "s")
    for i, size in enumerate((10000, 10000, 0)):
        metrics = {"test/recon": 9.0, "latent/active_units": 3.0 + i, "latent/unheard": 1.0}
        member(sweep, f"{i}_a", ["model=vae", f"data.val_size={size}"], metrics)
    found = [m["metrics"] for m in report(sweep)["members"]]
    assert found[0] == {"test/recon": 9.0, "val/active_units": 3.0, "val/unheard": 1.0}
    assert found[2] == {"test/recon": 9.0, "test/active_units": 5.0, "test/unheard": 1.0}
    page = (sweep / "report.html").read_text()
    assert "Final numbers on the test split; active_units on the validation split." in page
    assert "latent/" not in page and ">val/active_units<" in page and ">test/active_units<" in page
    assert "val/unheard" not in page


def test_the_test_splits_number_is_shown_where_there_is_one(tmp_path):
    sweep = sweep_folder(tmp_path / "s")
    metrics = {"test/recon": 9.0, "test/active_units": 4.0, "val/active_units": 5.0, "val/recon": 8.0}
    member(sweep, "0_a", ["model=vae"], metrics)
    report(sweep)
    page = (sweep / "report.html").read_text()
    assert "Final numbers on the test split." in page and "val/" not in page


def test_keys_of_the_first_generation_are_read_as_todays():
    schedule = {"kind": "step", "gamma": 0.5}
    old = {
        "model": {"name": "sparse", "arch": "conv", "hidden": [4], "channels": [8], "activation": "relu", "rho": 0.1,
                  "weight_decay": 1e-3, "schedule": {"weight_decay": schedule, "gamma": schedule}},
        "optimizer": {"weight_decay": 0.0, "schedule": schedule},
    }  # fmt: skip
    before = yaml.safe_dump(old)
    new = renamed(old)
    changed = {"kind": "step", "factor": 0.5}
    assert new == {
        "model": {
            "name": "sparse",
            "rho": 0.1,
            "l2_weight": 1e-3,
            "schedule": {"l2_weight": changed, "gamma": changed},
        },
        "net": {"name": "conv", "channels": [8], "activation": "relu"},
        "optimizer": {"weight_decay": 0.0, "schedule": changed},
    }
    assert renamed(new) == new and yaml.safe_dump(old) == before


def test_terms_of_the_first_generation(tmp_path):
    sweep = sweep_folder(tmp_path / "s")
    member(sweep, "0_a", ["model=sparse"], {"test/weight_decay": 2.0, "hparam/weight_decay": 1.0})
    assert report(sweep)["members"][0]["metrics"] == {"test/l2": 2.0, "hparam/l2_weight": 1.0}
