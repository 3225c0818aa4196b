"""A sweep is its members, however they were typed, launched or named; what is stored of it is data."""

import json
import shutil

import pytest
import yaml

from aetrain.sweeps import members as store
from tests.conftest import SMALL, longer
from tests.sweeps.test_launcher import members
from tests.test_resume import result

LINE = ["-m", *SMALL, "net.hidden=[16]", "hydra.launcher.mode=sequential"]
SWEEP = [*LINE, "hydra.sweep.dir=sweep"]


def swept(folder, key):
    group, name = key.split(".")
    return [yaml.safe_load((path / "config.yaml").read_text())[group][name] for path in members(folder)]


def begin_again(members):
    """As if each had been killed in its last moment: it has its checkpoint, but no result. Its .hydra/ goes, too."""
    for folder in members:
        (folder / "result.json").unlink()
        shutil.rmtree(folder / ".hydra")


def test_the_file_says_what_the_sweep_is_before_the_first_starts(aetrain, monkeypatch):
    seen = []
    monkeypatch.setattr("aetrain.jobs.run_member", lambda member, sweep: seen.append(store.read(sweep)))
    assert aetrain(*SWEEP, "model=beta_vae", "model.beta=1,2")[0] == 0
    assert len(seen) == 2 and seen[0] == seen[1]
    assert [member.config.model.beta for member in seen[0].members] == [1.0, 2.0]
    assert [member.folder.partition(",")[0] for member in seen[0].members] == ["0_model.beta=1", "1_model.beta=2"]


def test_a_number_is_one_member_however_it_is_typed(aetrain, done):
    done(*LINE, "model=beta_vae", "model.beta=1,2", to="sweep")
    code, out, err = aetrain(*SWEEP, "model=beta_vae", "model.beta=1.0,2e0,4")
    assert code == 0, err
    assert out.count("nothing to do") == 2
    assert swept(aetrain.folder / "sweep", "model.beta") == [1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("word", "betas"),
    [longer("model.beta=1,1.0,2", [1.0, 2.0]), ("model.beta=0,-0.0", [0.0]), ("tags=[a],[b]", [4.0])],
)
def test_what_is_typed_twice_runs_once(aetrain, word, betas):
    """Tags say nothing of what a run is, and −0 is 0, also in the command given again."""
    for _ in range(2):
        assert aetrain(*SWEEP, "model=beta_vae", word)[0] == 0
        assert swept(aetrain.folder / "sweep", "model.beta") == betas


def test_null_is_a_value(aetrain):
    assert aetrain(*SWEEP, "trainer.clip_norm=null,0.001")[0] == 0
    report = json.loads((aetrain.folder / "sweep" / "report.json").read_text())
    assert report["swept"] == {"trainer.clip_norm": [None, 0.001]}


@pytest.mark.parametrize(
    "words",
    [
        ["model=beta_vae", "model.beta=1,2"],
        ["model=beta_vae", "hydra.sweeper.params={model.beta:'1,2'}"],
        pytest.param(
            ["model=beta_vae", "model.beta=1,2", "data.root=${oc.env:AETRAIN_TEST_ROOT}"], marks=pytest.mark.longer
        ),
        longer(["model=beta_vae", "++model.beta=1,2"]),
        ["model=beta_vae", "model.beta=1,2", "hydra.sweep.subdir=member-${hydra.job.num}"],
        pytest.param(
            ["model=beta_vae", "model.beta=1,2", "hydra.sweep.subdir=deep/${hydra.job.num}"], marks=pytest.mark.longer
        ),
        ["--config-dir", "mine", "-cn", "bar", "model.beta=1,2"],
        longer(["--config-dir", "mine", "experiment=own", "model.beta=1,2"]),
    ],
    ids=["plain", "params", "environment", "forced", "subdir", "deep subdir", "config-name", "experiment"],
)
def test_the_same_members_are_resumed(aetrain, monkeypatch, words):
    """H298, H1376 and their like: resumed by what they hold, with nothing trained twice or besides."""
    monkeypatch.setenv("AETRAIN_TEST_ROOT", str(aetrain.folder / "root"))
    own = aetrain.folder / "mine"
    (own / "experiment").mkdir(parents=True)
    (own / "bar.yaml").write_text("defaults: [config, {override model: beta_vae}, _self_]\nmodel: {latent_dim: 3}\n")
    (own / "experiment" / "own.yaml").write_text(
        "# @package _global_\ndefaults: [{override /model: beta_vae}]\nmodel: {latent_dim: 3}\n"
    )
    flags = [word for word in words if word.startswith("-") or word in ("mine", "bar")]
    code, _, err = aetrain(*flags, *SWEEP, *(word for word in words if word not in flags))
    assert code == 0, err
    sweep = aetrain.folder / "sweep"
    before = [(member.folder, store.identity(member.config)) for member in store.read(sweep).members]
    assert len(before) == 2
    begun = [sweep / folder for folder, _ in before]
    begin_again(begun)
    monkeypatch.delenv("AETRAIN_TEST_ROOT")
    shutil.rmtree(own)
    code, out, err = aetrain("resume=sweep")
    assert code == 0, err
    assert out.count("resumed at step 6 of 6") == 2
    assert [(member.folder, store.identity(member.config)) for member in store.read(sweep).members] == before
    found = [path.parent for path in sweep.rglob("result.json")]
    assert sorted(found) == sorted(begun) and all(result(path)["status"] == "done" for path in found)
    report = json.loads((sweep / "report.json").read_text())
    assert report["swept"] == {"model.beta": [1, 2]} and len(report["members"]) == 2


def test_all_are_checked_before_the_first_starts(aetrain):
    code, _, err = aetrain(*SWEEP, "hydra.sweeper.max_batch_size=1", "seed=0,-1")
    assert code == 2 and "seed=-1" in err and not (aetrain.folder / "sweep").exists()


def test_another_tools_folder_keeps_the_sweep_from_starting(aetrain):
    theirs = aetrain.folder / "sweep" / "1_x" / "config.yaml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs")
    code, _, err = aetrain(*SWEEP, "seed=0,1", "hydra.sweep.subdir=${hydra.job.num}_x")
    assert code == 2 and "not a run's" in err
    assert theirs.read_text() == "theirs" and not (aetrain.folder / "sweep" / "0_x").exists()


@pytest.mark.parametrize("subdir", ["same", "../out", "/tmp/out", "n" * 256])
def test_a_subdir_that_is_no_place_of_a_members_own_is_refused(aetrain, subdir):
    code, _, err = aetrain(*SWEEP, "seed=0,1", f"hydra.sweep.subdir={subdir}")
    assert code == 2 and err.count("\n") == 1 and "hydra.sweep.subdir" in err
    assert not (aetrain.folder / "sweep").exists()


def test_swept_keys_come_first_in_a_members_name():
    fixed = [f"trainer.{key}=1" for key in ("epochs", "max_steps", "batch_size", "log_every", "grid_epochs")] * 3
    assert store.name(3, [*fixed, "model.beta=0.5"], ["model.beta"]).startswith("3_model.beta=0.5,trainer.")
    assert len(store.name(3, [*fixed, "model.beta=0.5"], ["model.beta"])) < 130


# --- someone else's sweep.json


@pytest.fixture
def theirs(done):
    return done(*LINE, "seed=0,1", to="sweep")


def harm(content, path, value):
    *parents, last = path
    for key in parents:
        content = content[key]
    content[last] = value


MEMBER = ("members", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*MEMBER, "folder"), "../evil"),
        ((*MEMBER, "folder"), "/tmp/evil"),
        ((*MEMBER, "folder"), "a\nb"),
        ((*MEMBER, "folder"), ""),
        ((*MEMBER, "folder"), ["x"]),
        ((*MEMBER, "config", "model", "name"), "../../evil"),
        ((*MEMBER, "config", "model", "_target_"), "os.system"),
        ((*MEMBER, "config", "hydra"), {"callbacks": {"x": {"_target_": "os.system"}}}),
        ((*MEMBER, "config", "experiment"), "../evil"),
        ((*MEMBER, "config", "seed"), -1),
        ((*MEMBER, "config", "seed"), "${oc.env:HOME}"),
        ((*MEMBER, "config"), None),
        ((*MEMBER, "overrides"), [1]),
        (("members",), {"a": 1}),
        (("members",), []),
        (("format",), 99),
        (("members", 1, "folder"), "0_x"),
    ],
)
def test_a_sweep_file_of_another_kind_is_refused_untouched(aetrain, theirs, path, value):
    content = json.loads((theirs / "sweep.json").read_text())
    content["members"][0]["folder"] = "0_x"
    harm(content, path, value)
    (theirs / "sweep.json").write_text(json.dumps(content))
    before = {p: p.read_bytes() for p in aetrain.folder.rglob("*") if p.is_file()}
    code, _, err = aetrain("resume=sweep")
    assert code == 2 and err.count("\n") == 1, err
    assert {p: p.read_bytes() for p in aetrain.folder.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("folder", ["report.html", "report.html/below"])
def test_a_file_where_a_members_folder_should_be_stays(aetrain, theirs, folder):
    content = json.loads((theirs / "sweep.json").read_text())
    content["members"][1]["folder"] = folder
    (theirs / "sweep.json").write_text(json.dumps(content))
    before = (theirs / "report.html").read_bytes()
    code, _, err = aetrain("resume=sweep")
    assert code == 2 and err.count("\n") == 1 and "report.html: no folder" in err, err
    assert (theirs / "report.html").read_bytes() == before


def test_a_sweep_file_that_is_nested_without_end_is_refused(aetrain, theirs):
    (theirs / "sweep.json").write_text("[" * 100_000)
    code, _, err = aetrain("resume=sweep")
    assert code == 2 and err.count("\n") == 1 and "sweep.json: not readable as JSON (nested too deeply)" in err, err


LAUNCHERS = {
    "aetrain": ["hydra/launcher=aetrain", "hydra.launcher.mode='stack'"],
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit_slurm": ["hydra/launcher=aetrain"],
    "../evil": ["hydra/launcher=aetrain"],
}


def test_how_it_was_launched_is_taken_over_only_where_that_is_harmless(aetrain, theirs):
    """Members of a sweep on a cluster begin with shell commands of the user's: nobody else's are run."""
    from aetrain.resume import arguments

    content = json.loads((theirs / "sweep.json").read_text())
    for launcher, taken in LAUNCHERS.items():
        content["launch"] = {"launcher": launcher, "setup": ["reboot"], "_target_": "os.system", "mode": "stack",
                             "workers": "2; reboot", "n_jobs": 2}  # fmt: skip
        (theirs / "sweep.json").write_text(json.dumps(content))
        assert arguments(["resume=sweep"]).launch == ["hydra.sweep.dir='sweep'", *taken]


def test_multirun_yaml_is_not_read(aetrain, theirs):
    (theirs / "multirun.yaml").write_text("!!python/object/apply:os.mkdir [evil]")
    code, out, err = aetrain("resume=sweep")
    assert code == 0, err
    assert out.count("nothing to do") == 2 and not (aetrain.folder / "evil").exists()


def test_a_member_that_is_a_link_is_refused(aetrain, theirs):
    elsewhere = aetrain.folder / "elsewhere"
    first = members(theirs)[0]
    first.rename(elsewhere)
    first.symlink_to(elsewhere)
    (elsewhere / "result.json").unlink()
    before = {p: p.read_bytes() for p in elsewhere.rglob("*") if p.is_file()}
    code, _, err = aetrain("resume=sweep")
    assert code == 2 and "it is a link" in err
    assert {p: p.read_bytes() for p in elsewhere.rglob("*") if p.is_file()} == before
