"""`latest` names the folder that was begun last."""

import json
import shlex
from pathlib import Path

import pytest

from aetrain.api import config
from aetrain.errors import UserError
from aetrain.initial import initial
from aetrain.latest import named


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("vae/2026-01-02_10-00-00-000001", "ae/2026-01-03_10-00-00-000001_mine",
                   "sweeps/2026-01-01_10-00-00-000001", "vae/2026-01-01_23-59-59-999999", "vae/zzz"):  # fmt: skip
        (tmp_path / "outputs" / folder).mkdir(parents=True)
        (tmp_path / "outputs" / folder / ("sweep.json" if "sweeps" in folder else "config.yaml")).touch()
    (tmp_path / "outputs" / "vae" / "2026-12-31_10-00-00-000001" / ".hydra").mkdir(parents=True)  # broken off at once
    (tmp_path / "outputs" / "vae" / "2027-01-01_00-00-00-000000").touch()  # a file
    return Path("outputs")


def test_the_newest_of_all_and_of_one_model(outputs):
    assert named("resume", "latest") == outputs / "ae" / "2026-01-03_10-00-00-000001_mine"
    assert named("resume", "latest:vae") == outputs / "vae" / "2026-01-02_10-00-00-000001"
    assert named("run", "latest", sweeps=True) == outputs / "sweeps" / "2026-01-01_10-00-00-000001"


def test_a_path_is_itself_and_the_home_folder_is_found(outputs, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert named("run", "'~/runs/a'") == Path("/home/somebody/runs/a")
    assert named("run", "latest:") == Path("latest:") and named("run", "runs/latest") == Path("runs/latest")


@pytest.mark.parametrize("word", ["latest:sparse", "latest:../..", "latest:*/*"])
def test_where_nothing_is_one_line_says_so(outputs, word):
    with pytest.raises(UserError, match="nothing has been trained below outputs/"):
        named("resume", word)


def test_starting_from_a_sweep_names_its_best_run(outputs):
    """init= takes one run. Which of them the sweep found best is what its user would look up."""
    sweep = outputs / "sweeps" / "2026-02-01_10-00-00-000001"
    for name, nelbo in (("0_model.beta=1", 106.5), ("1_model.beta=4", 104.5), ("2_model.beta=8", None)):
        (sweep / name / "checkpoints").mkdir(parents=True)
        (sweep / name / "config.yaml").write_text("model: {name: beta_vae}\n")
        metrics = {"val/nelbo": nelbo, "val/recon": 1.0}
        (sweep / name / "result.json").write_text(json.dumps({"status": "done", "metrics": metrics}))
    (sweep / "3_model.beta=9").mkdir()
    (sweep / "3_model.beta=9" / "config.yaml").write_text("model: {name: beta_vae}\n")
    for word, found in (("latest", f"{sweep}: "), ("latest:sweeps", f"{sweep}: "), (str(sweep), "")):
        line = (
            f"init={word}: {found}several runs; give one of them, as in 'init=\"{sweep}/1_model.beta=4\"', "
            "which has the lowest val/nelbo"
        )
        with pytest.raises(UserError) as raised:
            initial(word)
        assert str(raised.value) == line
    typed = shlex.split(line.partition("as in ")[2])[0].rstrip(",")
    assert config(typed).init == str((sweep / "1_model.beta=4").absolute())
    assert named("resume", "latest") == named("run", "latest") == sweep  # both take sweeps


def test_starting_from_what_has_no_model_yet_says_what_was_found(outputs):
    newest = outputs / "ae" / "2026-01-03_10-00-00-000001_mine"
    with pytest.raises(UserError, match=f"^init=latest: {newest}: no trained model is there; "):
        initial("latest")
    (outputs / "sweeps" / "2026-02-01_10-00-00-000001" / "0_seed=0").mkdir(parents=True)
    (outputs / "sweeps" / "2026-02-01_10-00-00-000001" / "0_seed=0" / "config.yaml").touch()
    with pytest.raises(UserError, match="of which none has a checkpoint yet; give another run's folder"):
        initial("latest")
