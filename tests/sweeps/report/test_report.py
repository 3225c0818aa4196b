"""A sweep's report: its numbers against closed forms, its files, its command. Members of any kind: test_members.py."""

import io
import json
import math
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from PIL import Image

from aetrain.sweeps.report import rebuild, refresh
from aetrain.sweeps.report.analysis import analyse, pareto
from aetrain.sweeps.report.pictures import galleries
from aetrain.sweeps.report.read import find
from aetrain.sweeps.report.suggest import bend, between, menger
from tests.conftest import PYTHON, SMALL
from tests.sweeps.report.synthetic import beta_sweep, member, report, sweep_folder, table

# A right angle at beta = 4: on the way there the rate falls at no cost, beyond it only the distortion rises.
CORNER = {1: (10.0, 100.0), 2: (6.0, 100.0), 4: (2.0, 100.0), 8: (2.0, 140.0), 16: (2.0, 180.0)}


# --- numbers


def test_mean_and_deviation_over_seeds(tmp_path):
    sweep = beta_sweep(tmp_path / "s", {1: (10, 100), 4: (5, 120)}, {0: 0.0, 1: 3.0, 2: 6.0})
    data = report(sweep)
    assert data["swept"] == {"model.beta": [1, 4]} and data["split"] == "test"
    assert [a["values"] for a in data["aggregates"]] == [{"model.beta": 1}, {"model.beta": 4}]
    recon = data["aggregates"][1]["metrics"]["test/recon"]
    assert recon == {"mean": pytest.approx(123), "std": pytest.approx(3), "n": 3}  # of 120, 123, 126 with n - 1
    assert data["aggregates"][0]["seeds"] == [0, 1, 2]
    rows = table(sweep)
    assert [float(row["test/recon"]) for row in rows] == [100, 103, 106, 120, 123, 126]
    assert [row["model.beta"] for row in rows] == ["1.0"] * 3 + ["4.0"] * 3
    assert [row["seed"] for row in rows] == ["0", "1", "2"] * 2


def test_one_seed_has_no_deviation(tmp_path):
    data = report(beta_sweep(tmp_path / "s", {1: (10, 100), 4: (5, 120)}, {0: 0.0}))
    assert data["aggregates"][0]["metrics"]["test/kl"] == {"mean": 10, "std": None, "n": 1}


def test_total_correlation_and_mig_have_a_column_and_a_plot_of_their_own(tmp_path):
    sweep = sweep_folder(tmp_path / "s")
    for number, gamma in enumerate((1.0, 8.0, 35.0)):
        metrics = {f"test/{name}": 1.0 for name in ("loss", "recon", "kl", "nelbo", "active_units", "aggregate_kl")}
        metrics |= {"test/total_correlation": 3 / gamma, "test/mig": 0.1 * number}
        member(sweep, f"{number}_x", ["model=beta_vae", "model.capacity=5", f"model.gamma={gamma}"], metrics)
    report(sweep)
    assert [float(row["test/mig"]) for row in table(sweep)] == pytest.approx([0, 0.1, 0.2])
    drawn = {path.name for path in (sweep / "report").iterdir()}
    assert {"model.gamma-test.total_correlation.png", "model.gamma-test.mig.png"} <= drawn


def test_only_members_that_are_done_are_averaged(tmp_path):
    sweep = beta_sweep(tmp_path / "s", {1: (10, 100), 4: (5, 120)}, {0: 0.0, 1: 3.0})
    member(sweep, "9_x", ["model=beta_vae", "model.beta=4.0", "seed=2", "trainer.epochs=3"], {"test/recon": 1e6},
           status="failed", reason="diverged")  # fmt: skip
    assert report(sweep)["aggregates"][1]["metrics"]["test/recon"]["mean"] == pytest.approx(121.5)


def test_the_pareto_front():
    points = [(1.0, 5.0), (2.0, 3.0), (2.0, 4.0), (3.0, 3.0), (4.0, 1.0), (4.0, 1.0)]
    assert pareto(points) == [0, 1, 4, 5]


def test_curvature_of_a_circle_is_one_over_its_radius():
    a, b, c = ((3 + 2.5 * math.cos(t), 2.5 * math.sin(t)) for t in (0.1, 0.7, 2.0))
    assert menger(a, b, c) == pytest.approx(1 / 2.5)
    assert menger((0, 0), (1, 1), (3, 3)) == pytest.approx(0) and menger(a, a, c) == 0


def test_a_curve_bends_where_its_corner_is():
    """Scaling an axis moves nothing: both are brought to [0, 1] first."""
    corner = [(10, 1), (6, 1), (2, 1), (2, 2), (2, 3)]
    assert bend(corner) == 2 == bend([(x, 1000 * y) for x, y in corner])
    assert (
        bend(corner[:2]) is None and bend([(1, 1), (2, 2), (3, 3)]) is None and bend([(1, 1), (2, 1), (3, 1)]) is None
    )


def test_new_values_lie_between_the_old_ones():
    assert between([1.0, 4.0, 16.0], 1) == [2, 8]  # geometric
    assert between([0.0, 1.0, 2.0], 1) == [0.5, 1.41]  # a midpoint where there is no geometric mean
    assert between([5, 10, 11], 1) == [7]  # whole numbers stay whole, and none is between 10 and 11


def test_values_to_try_next_are_beside_the_corner(tmp_path):
    data = report(beta_sweep(tmp_path / "s", CORNER, {0: 0.0, 1: 1.0}))
    [suggestion] = data["suggestions"]
    assert suggestion["override"] == "model.beta=2.83,5.66" and "model.beta = 4" in suggestion["reason"]
    line = "aetrain -m model=beta_vae trainer.epochs=3 model.beta=2.83,5.66 seed=0,1"
    assert suggestion["command"] == f"{line} hydra.sweep.dir={tmp_path / 's'}"  # they join the others
    assert data["pareto"] == [{"model.beta": 4}]


@pytest.mark.parametrize(
    ("spread", "says"), [([0.0], "With one seed"), ([0.0, 1.0], "of it."), ([0.0, 80.0], "more seeds first")]
)
def test_a_bend_is_held_against_the_spread_over_seeds(tmp_path, spread, says):
    """At the corner the distortion is 40 nats off the chord; 0 and 80 over two seeds have a standard error of 40."""
    data = report(beta_sweep(tmp_path / "s", CORNER, dict(enumerate(spread))))
    assert says in data["suggestions"][0]["reason"][-50:]


def test_two_values_suggest_nothing(tmp_path):
    assert report(beta_sweep(tmp_path / "s", {1: (10, 100), 4: (5, 120)}, {0: 0.0}))["suggestions"] == []


def test_another_key_is_judged_by_the_objective(tmp_path):
    """recon falls, then stays, over learning rates a factor of ten apart."""
    sweep = sweep_folder(tmp_path / "s")
    for i, (lr, recon) in enumerate([("1e-4", 90.0), ("1e-3", 50.0), ("1e-2", 50.0), ("1e-1", 50.0)]):
        member(sweep, f"{i}_lr", ["model=ae", f"optimizer.lr={float(lr)}"], {"test/recon": recon})
    [suggestion] = report(sweep)["suggestions"]
    assert suggestion["override"] == "optimizer.lr=0.000316,0.00316" and "test/recon" in suggestion["reason"]


def test_a_task_with_metrics_of_its_own(tmp_path):
    """The error of a classifier, with a minimum between: only the bend counts, not its direction."""
    sweep = sweep_folder(tmp_path / "s")
    for i, (k, error) in enumerate([(5, 3.0), (10, 1.4), (25, 1.4), (40, 1.4)]):
        metrics = {"softmax/test_error": error, "optimizer/lr": 1.0}
        member(sweep, f"{i}_k", ["experiment=k_sparse", f"model.k={k}"], metrics)
    data = report(sweep)
    assert data["suggestions"][0]["override"] == "model.k=7,16"
    assert [p.name for p in (sweep / "report").iterdir()] == ["model.k-softmax.test_error.png"]


def test_a_group_and_a_number_swept_together(tmp_path):
    sweep, number = sweep_folder(tmp_path / "s"), 0
    for model in ("vae", "ae"):
        for lr in (0.001, 0.01):
            member(sweep, f"{number}_m", [f"model={model}", f"optimizer.lr={lr}"], {"test/recon": 1.0 + number})
            number += 1
    data = report(sweep)
    assert data["swept"] == {"model": ["vae", "ae"], "optimizer.lr": [0.001, 0.01]}
    assert data["aggregates"][2]["values"] == {"model": "ae", "optimizer.lr": 0.001}
    assert {p.name for p in (sweep / "report").iterdir()} == {"model-test.recon.png", "optimizer.lr-test.recon.png"}
    for plot in (sweep / "report").iterdir():
        with Image.open(plot) as image:
            assert image.width > 500


def test_the_row_that_is_shown_is_the_dimension_with_the_highest_kl(tmp_path):
    sweep = beta_sweep(tmp_path / "s", {1: (10, 100), 4: (5, 120)}, {0: 0.0})
    whole = analyse(*find(sweep))
    reconstructions, traversal = galleries(whole, whole.axes[0])
    assert [p.label for p in traversal.pictures] == ["β 1", "β 4"] and "z[2]" in traversal.title
    assert [p.label for p in reconstructions.pictures] == ["original", "β 1", "β 4"]

    def tiles(picture, columns):
        image = Image.open(io.BytesIO(picture.png))
        assert image.size == (2 + 30 * columns, 32)
        return [image.getpixel((16 + 30 * c, 16)) for c in range(columns)]

    assert tiles(traversal.pictures[0], 11) == [32 + c for c in range(11)]
    assert tiles(reconstructions.pictures[0], 8) == list(range(8))
    assert tiles(reconstructions.pictures[1], 8) == [16 + c for c in range(8)]


# --- the files


def test_rebuilding_changes_nothing(tmp_path):
    sweep = beta_sweep(tmp_path / "s", CORNER, {0: 0.0})

    def content():
        return {p: p.read_bytes() for p in sweep.rglob("report*") if p.is_file()} | {
            p: p.read_bytes() for p in (sweep / "report").iterdir()
        }

    rebuild(sweep)
    first, made = content(), (sweep / "report.html").stat().st_mtime_ns
    refresh(sweep)
    assert (sweep / "report.html").stat().st_mtime_ns == made  # nothing is drawn again
    rebuild(sweep)
    assert content() == first and len(first) == 6
    assert not list(sweep.rglob("*.tmp"))
    shutil.rmtree(sweep / "4_model.beta=16,seed=0")
    refresh(sweep)
    assert content() != first


def test_several_may_rebuild_at_once(tmp_path):
    """Each with a lock of its own, as processes have. What is left is a whole report, of all members."""
    sweep = beta_sweep(tmp_path / "s", {1: (10, 100), 4: (5, 120)}, {0: 0.0})
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(rebuild, sweep) for _ in range(4)]:
            done.result()
    assert len(json.loads((sweep / "report.json").read_text())["members"]) == len(table(sweep)) == 2
    assert (sweep / "report.html").read_text().endswith("</html>\n") and not list(sweep.rglob("*.tmp"))


def test_a_report_that_cannot_be_written_costs_a_sweep_nothing(tmp_path, caplog):
    sweep = beta_sweep(tmp_path / "s", {1: (10, 100), 4: (5, 120)}, {0: 0.0})
    (sweep / "report.json").mkdir()
    refresh(sweep)
    [record] = caplog.records
    assert "report.json" in record.message and "not a regular file" in record.message


# --- the command


def test_a_real_sweep_reports_what_its_members_measured(aetrain):
    line = [
        "-m",
        "model=beta_vae",
        "model.beta=1,8",
        "net.hidden=[32]",
        "model.latent_dim=3",
        *SMALL,
        "hydra.launcher.mode=sequential",
    ]
    code, _, err = aetrain(*line, "trainer.max_steps=2", "hydra.sweep.dir=sweep")
    assert code == 0, err
    before = sorted(p for p in aetrain.folder.rglob("*") if not p.is_relative_to(aetrain.folder / "sweep"))
    code, out, err = aetrain("task=report", "run=sweep")
    assert code == 0 and err == ""
    assert out.split() == ["sweep/report.html", "sweep/report.csv", "sweep/report.json"]
    assert before == sorted(p for p in aetrain.folder.rglob("*") if not p.is_relative_to(aetrain.folder / "sweep"))
    sweep = aetrain.folder / "sweep"
    data = json.loads((sweep / "report.json").read_text())
    for found in data["members"]:
        result = json.loads((sweep / found["member"] / "result.json").read_text())
        config = yaml.safe_load((sweep / found["member"] / "config.yaml").read_text())
        measured = {tag.replace("latent/", "val/"): value for tag, value in result["metrics"].items()}
        assert found["metrics"] == measured and found["values"]["model.beta"] == config["model"]["beta"]
    page = (sweep / "report.html").read_text()
    assert page.count("Reconstructions, ") == 3 and page.count("Traversal of z[") == 3  # alt texts and one title
    with Image.open(sweep / data["members"][0]["member"] / "grids" / "traversals_0001.png") as traversals:
        assert traversals.info["tiles"] == "3x11"


def test_the_report_imports_no_torch(tmp_path):
    sweep = beta_sweep(tmp_path / "s", {1: (10, 100), 4: (5, 120)}, {0: 0.0})
    program = (
        "import sys; from aetrain.cli import main; code = main(['task=report', 'run=' + sys.argv[1]]); "
        "sys.exit(code or 3 * ('torch' in sys.modules))"
    )
    done = subprocess.run(
        [PYTHON, "-c", program, str(sweep)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (sweep / "report.html").exists()


@pytest.mark.parametrize(
    ("line", "names", "suggests"),
    [
        ("task=report", "task=report", "run="),
        ("task=report run=nowhere", "run=nowhere", "no such folder"),
        ("task=report run=run", "run=run", "single run"),
        ("task=report run=empty", "run=empty", "no runs"),
        ("task=report sweep=empty", "run=empty", "no runs"),
        ("task=report run=empty model=ae", "model=ae", "nothing else"),
        ("-m task=report run=empty", "task=report", "--multirun"),
        ("-m task=train,report", "task=report", ""),
        ("sweep=empty", "sweep", ""),
    ],
)
def test_a_mistake_is_one_line(aetrain, line, names, suggests):
    (aetrain.folder / "empty").mkdir()
    (aetrain.folder / "run").mkdir()
    (aetrain.folder / "run" / "config.yaml").write_text("seed: 0\n")
    code, out, err = aetrain(*line.split())
    assert code == 2 and out == "" and err.startswith("aetrain: error: ") and err.count("\n") == 1
    assert names in err and suggests in err
    assert [p.name for p in aetrain.folder.rglob("*") if p.is_file()] == ["config.yaml"]


def test_explorer_pages_are_linked_where_they_are(tmp_path):
    """The newest of a run and of the sweep; none through a link, none that is not there."""
    sweep = sweep_folder(tmp_path / "s")
    runs = [member(sweep, f"{i}_a=b#c", ["model=beta_vae", f"seed={i}"], {"test/recon": 1.0}) for i in range(3)]
    for folder in (runs[0] / "explore_2", runs[0] / "explore_10", sweep / "explore_1", tmp_path / "elsewhere"):
        folder.mkdir()
        (folder / "explore.html").write_text("a page")
    (runs[1] / "explore_1").symlink_to(tmp_path / "elsewhere")
    (runs[2] / "explore_1").mkdir()
    (runs[2] / "explore_1" / "explore.html").symlink_to(tmp_path / "elsewhere" / "explore.html")
    (runs[2] / "explore_x").mkdir()
    rebuild(sweep)
    found = re.findall(r'<a class="explorer" href="([^"]*)"', (sweep / "report.html").read_text())
    assert found == ["./explore_1/explore.html", "./0_a%3Db%23c/explore_10/explore.html"]
