"""Files from someone else: read as data or refused in one line; nothing in them runs."""

import io
import os
import pickle
import random
import shutil
import zipfile

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aetrain.errors import UserError
from aetrain.training import checkpoint
from tests.conftest import SMALL, irregular, soon
from tests.test_cli import GENERATE


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A finished run, made once."""
    from aetrain.cli import main

    folder = tmp_path_factory.mktemp("pristine")
    before = os.getcwd()
    os.chdir(folder)
    try:
        assert main([*SMALL, "model=ae", "net.hidden=[16]", "model.latent_dim=4", "hydra.run.dir=run"]) == 0
    finally:
        os.chdir(before)
    return folder / "run"


@pytest.fixture
def run(pristine, aetrain):
    shutil.copytree(pristine, aetrain.folder / "run")
    return aetrain.folder / "run"


class Malice:
    """Unpickling this makes a folder."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def mutilations(content: bytes):
    """(name, bytes) of at least fifty damaged checkpoints."""
    rng = random.Random(0)
    yield "empty", b""
    yield "random", rng.randbytes(5000)
    yield "text", b"not a checkpoint"
    for share in (0.01, 0.1, 0.5, 0.9, 0.99, 0.9999):
        yield f"truncated to {share}", content[: int(len(content) * share)]
    for i in range(40):  # one bit anywhere, tensor bytes included
        damaged = bytearray(content)
        damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        yield f"bit {i}", bytes(damaged)
    method = content.rindex(b"PK\x01\x02") + 10  # the compression method of the directory's last entry
    yield "compression", content[:method] + b"\x08" + content[method + 1 :]
    for i in range(6):
        damaged = bytearray(content)
        start = rng.randrange(len(content) - 200)
        damaged[start : start + 200] = bytes(200)
        yield f"zeros {i}", bytes(damaged)


def test_mutilated_checkpoints_are_refused_in_one_line(aetrain, run):
    path = run / "checkpoints" / "last.pt"
    content, clean = path.read_bytes(), checkpoint.load(path)
    count = refused = 0
    for name, damaged in mutilations(content):
        path.write_bytes(damaged)
        count += 1
        try:
            loaded = checkpoint.load(path)
        except UserError as error:
            assert "\n" not in str(error) and str(path) in str(error), name
            refused += 1
        else:  # a bit that means nothing, such as one in the archive's padding or a date: the content is the same
            assert all(torch.equal(loaded["model"][k], v) for k, v in clean["model"].items()), name
            assert loaded["step"] == clean["step"] and loaded["config"] == clean["config"], name
    assert count >= 50 and refused >= 45


@pytest.mark.parametrize("damaged", [b"", b"\x80\x04K\x01.", None])
def test_resuming_a_damaged_checkpoint(aetrain, run, damaged):
    path = run / "checkpoints" / "last.pt"
    path.write_bytes(path.read_bytes()[:3000] if damaged is None else damaged)
    code, _, err = aetrain("resume=run", "trainer.max_steps=8")
    assert code == 2 and err.count("\n") == 1 and "last.pt" in err


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_checkpoint_that_is_no_file_is_not_waited_for(aetrain, run, kind):
    irregular(path := run / "checkpoints" / "last.pt", kind)
    with soon(), pytest.raises(UserError, match=r"last\.pt: cannot be read \(not a regular file\)$"):
        checkpoint.load(path)
    for words in (["resume=run", "trainer.max_steps=8"], ["evaluate", "run=run"], ["evaluate", f"run={path}"]):
        with soon():
            code, _, err = aetrain(*words)
        assert code == 2 and err.count("\n") == 1, err


def test_malicious_pickles_run_nothing(aetrain, run):
    path, victim = run / "checkpoints" / "last.pt", aetrain.folder / "victim"
    state = checkpoint.load(path)
    plain_pickle = pickle.dumps({**state, "extra": Malice(victim)})
    buffer = io.BytesIO()
    torch.save({**state, "extra": Malice(victim)}, buffer)
    legacy = io.BytesIO()
    torch.save({**state, "extra": Malice(victim)}, legacy, _use_new_zipfile_serialization=False)
    for content in (plain_pickle, buffer.getvalue(), legacy.getvalue()):
        path.write_bytes(content)
        code, _, err = aetrain("resume=run", "trainer.max_steps=8")
        assert code == 2 and err.count("\n") == 1
        assert not victim.exists()
    # The file is malicious indeed: read carelessly, it does what it wants.
    path.write_bytes(buffer.getvalue())
    torch.load(path, weights_only=False)
    assert victim.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("optimizer"),
        lambda s: s.pop("rng"),
        lambda s: s.update(step="seven"),
        lambda s: s.update(model={}),
        lambda s: s["model"].update({next(iter(s["model"])): torch.zeros(3)}),
        lambda s: s.update(optimizer={"state": {}, "param_groups": []}),
        lambda s: s.update(rng={"cpu": torch.zeros(3), "cuda": None}),
        lambda s: s.update(meters={}),
        lambda s: s.update(best={}),
        lambda s: s.update(position={"metrics.jsonl": 10**9}),
        lambda s: s.update(format=99),
        lambda s: s["config"]["model"].update(latent_dim=5),
        lambda s: s["config"].update(model=None),
        lambda s: s.update(metrics=[1]),
        lambda s: s.update(position={"metrics.jsonl": "x"}),
        lambda s: s.update(step=-1),
        lambda s: s["meters"]["sums"].update(epoch=torch.zeros(9)),
        lambda s: s.update(overrides=[{"a": 1}]),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_in_one_line(aetrain, run, change):
    path = run / "checkpoints" / "last.pt"
    state = checkpoint.load(path)
    change(state)
    torch.save(state, path)
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name not in ("aetrain.log", ".lock")}
    code, _, err = aetrain("resume=run", "trainer.max_steps=8", "trainer.epochs=10")
    assert code == 2 and err.count("\n") == 1, err
    assert {p: p.read_bytes() for p in before} == before  # a refused resume changes nothing


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["model"].update(_target_="os.system"),
        lambda c: c.update(_target_="builtins.open"),
        lambda c: c.update(hydra={"callbacks": {"x": {"_target_": "os.system"}}}),
        lambda c: c["model"].update(name="../../evil"),
        lambda c: c["model"].update(name=["ae", "vae"]),
        lambda c: c["model"].update(hidden={"a": 1}),
        lambda c: c["model"].update(latent_dim="abc"),
        lambda c: c["model"].update(latent_dim=-1),
        lambda c: c["model"].update(extra=1),
        lambda c: c.pop("model"),
        lambda c: c.update(model=7),
        lambda c: c.update(task={"name": "os"}),
    ],
)
def test_a_config_that_is_more_than_a_runs_is_refused(aetrain, run, change):
    config = yaml.safe_load((run / "config.yaml").read_text())
    change(config)
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    code, _, err = aetrain("resume=run", "trainer.max_steps=8")
    assert code == 2 and err.count("\n") == 1, err


def test_a_stored_root_chooses_no_folder(aetrain, run):
    """Where MNIST is unpacked is for the user to say, not for a file."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"]["root"] = str(aetrain.folder / "elsewhere")
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    code, _, err = aetrain("resume=run", "trainer.max_steps=8")
    assert code == 0, err
    assert not (aetrain.folder / "elsewhere").exists()


@pytest.mark.parametrize("name", ["../../../proc/self/cwd/run/evil", "evil", "run/evil", "/etc/passwd"])
@pytest.mark.parametrize("where", ["model", "net", "task", "experiment"])
def test_a_name_in_a_stored_file_loads_nothing(aetrain, run, where, name):
    """Such a name once became an override, Hydra loaded the file that it pointed to, and its callbacks ran code."""
    (run / "evil.yaml").write_text(f"hydra: {{callbacks: {{x: {{_target_: pathlib.Path.touch, self: {run}/victim}}}}}}")
    config = yaml.safe_load((run / "config.yaml").read_text())
    if where == "experiment":
        config["experiment"] = name
    else:
        config[where]["name"] = name
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    code, _, err = aetrain("resume=run", "trainer.max_steps=8")
    assert code == 2 and err.count("\n") == 1 and "refused" in err, err
    assert not (run / "victim").exists()


@pytest.mark.parametrize(
    "text",
    [
        "- " * 100_000,
        "[" * 100_000,
        "{a: " * 50_000,
        "a: &a [1]\nb: *a",
        "",
        "[]",
        "a: [",
        "!!python/object/apply:os.system ['touch victim']",
        "\x00",
        "a: &a [*a]",
        "7",
    ],
)
def test_yaml_that_is_no_config_is_refused(aetrain, run, text):
    (run / "config.yaml").write_text(text)
    code, _, err = aetrain("resume=run")
    assert code == 2 and err.count("\n") == 1, err
    assert not (aetrain.folder / "victim").exists()


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers(), max_size=3)
)
KEYS = ["model", "data", "trainer", "seed", "hidden", "name", "latent_dim", "_target_", "epochs", "extra", "hydra"]
TREES = st.recursive(
    LEAVES, lambda t: st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), t, max_size=4), max_leaves=8
)


@settings(GENERATE, max_examples=100)
@given(st.sampled_from(["model", "data", "trainer", "optimizer", "device", "seed", "task"]), TREES)
def test_generated_config_files_never_give_a_traceback(aetrain, pristine, monkeypatch, group, tree):
    def sound(_config):
        raise UserError("sound after all")

    monkeypatch.setattr("aetrain.cli.check_typed", sound)
    folder = aetrain.folder / "generated"
    folder.mkdir(exist_ok=True)
    config = yaml.safe_load((pristine / "config.yaml").read_text())
    if config[group] == tree:
        return
    config[group] = {**config[group], **tree} if isinstance(tree, dict) and isinstance(config[group], dict) else tree
    (folder / "config.yaml").write_text(yaml.safe_dump(config, allow_unicode=True))
    code, _, err = aetrain("resume=generated")
    assert code == 2 and err.count("\n") == 1, (err, tree)


def test_checkpoints_hold_plain_data_only(run):
    with zipfile.ZipFile(run / "checkpoints" / "last.pt") as archive:
        data = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        names = {arg for op, arg, _ in __import__("pickletools").genops(archive.read(data)) if op.name == "GLOBAL"}
    assert names <= {"torch._utils _rebuild_tensor_v2", "collections OrderedDict", "torch FloatStorage",
                     "torch ByteStorage", "torch DoubleStorage"}  # fmt: skip
