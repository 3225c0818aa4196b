"""`latest` names the folder that was begun last."""

from pathlib import Path

import pytest

from aetrain.errors import UserError
from aetrain.latest import named


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("vae/2026-01-02_10-00-00-000001", "ae/2026-01-03_10-00-00-000001_mine",
                   "sweeps/2026-01-01_10-00-00-000001", "vae/2026-01-01_23-59-59-999999", "vae/zzz"):  # fmt: skip
        (tmp_path / "outputs" / folder).mkdir(parents=True)
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
