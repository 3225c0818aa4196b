"""Folders that someone else has made: whatever is in them, nothing of it runs, and nothing outside of them is touched.

Every mutation of a run's and of a sweep's folder goes through resume, report, evaluate, explore and aetrain.load under
an audit hook; since hooks miss some writers, the surroundings are compared before and after, too. `make test-faults`
tries 300.
"""

import json
import os
import pickle
import random
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml

import aetrain as package
from aetrain.errors import AetrainError, UserError
from tests.conftest import SMALL

TINY = [*SMALL, "net.hidden=[4]", "model.latent_dim=3", "device.threads=1"]
MARK = "executed"  # what every payload would leave
SCRIPTS = 3  # elements in a page of explore: values, arrays, the script


class Payload:
    """Unpickled, it leaves its mark."""

    def __init__(self, folder):
        self.path = str(folder / MARK)

    def __reduce__(self):
        return os.mkdir, (self.path,)


# --- the watch


class Watch:
    """Notes what this process opens for writing, removes, renames, starts or imports outside the allowed folders."""

    def __init__(self):
        self.allowed, self.seen = (), []
        sys.addaudithook(self.hook)

    def hook(self, event, arguments):
        if not self.allowed:
            return
        paths = []
        if event == "open":
            path, mode, flags = arguments
            writes = flags is not None and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
            paths = [path] if writes or (isinstance(mode, str) and set(mode) & set("wax+")) else []
        elif event in ("os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown", "shutil.rmtree"):
            paths = [arguments[0]]
        elif event in ("os.rename", "shutil.move", "shutil.copyfile"):
            paths = list(arguments[:2])
        elif event in ("os.link", "os.symlink"):
            paths = [arguments[1]]
        elif event in ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "ctypes.dlopen"):
            if event != "ctypes.dlopen" or str(arguments[0]).startswith(self.folder):
                self.seen.append((event, str(arguments)[:200]))
        elif event == "import" and str(arguments[1] or "").startswith(self.folder):
            self.seen.append((event, str(arguments)[:200]))
        for path in paths:
            if isinstance(path, str | bytes | os.PathLike):
                real = os.path.join(os.path.realpath(os.path.dirname(os.fsdecode(path)) or "."), os.path.basename(path))
                if not os.fsdecode(real).startswith(self.allowed):
                    self.seen.append((event, os.fsdecode(path)))

    def start(self, *allowed):
        self.folder, self.seen = str(allowed[0]), []
        self.allowed = tuple(f"{os.path.realpath(path)}{os.sep}" for path in allowed)

    def stop(self):
        self.allowed = ()
        return [(event, path) for event, path in self.seen if "__pycache__" not in path and path != os.devnull]


WATCH = Watch()


# --- the mutations


def hostile_values(folder):
    return [
        "../../../../../../../proc/self/cwd/run/evil", "${oc.env:HOME}", "${aetrain.member:[a]}", "/etc/passwd",
        "x" * 5000, {"_target_": "os.mkdir", "path": str(folder / MARK)}, ["a", {"b": 1}], [], {}, -1, 0, 10**30, 1e308,
        float("nan"), float("inf"), None, True, "<script>alert(1)</script>", "a\nb", "\u202e", "'; touch x; '", "=1+1",
    ]  # fmt: skip


def is_plain(path):
    """Whether another mutation has left a file there that is the folder's own."""
    return path.is_file() and not path.is_symlink() and path.lstat().st_nlink == 1


def leaf(draw, tree):
    """A random node of a nested dict: (its parent, its key)."""
    parent, key = tree, draw.choice(list(tree))
    while isinstance(parent[key], dict) and parent[key] and draw.random() < 0.8:
        parent, key = parent[key], draw.choice(list(parent[key]))
    return parent, key


def in_yaml(draw, run, victim):
    path = run / "config.yaml"
    if not is_plain(path):
        return
    tree = yaml.safe_load(path.read_text())
    parent, key = leaf(draw, tree)
    what = draw.randrange(4)
    if what == 0:
        parent[key] = draw.choice(hostile_values(victim))
    elif what == 1:
        parent[draw.choice(["_target_", "hydra", "experiment", "defaults", "callbacks", "x.y", "", "model"])] = (
            draw.choice(
                [*hostile_values(victim), {"callbacks": {"x": {"_target_": "os.mkdir", "path": str(victim / MARK)}}}]
            )
        )
    elif what == 2:
        del parent[key]
    else:
        path.write_text(draw.choice([
            f"!!python/object/apply:os.mkdir [{victim / MARK}]", "[" * 5000, "- " * 5000, "a: &a [*a]", "\x00", "",
            "{" * 300, path.read_text().replace("name: ae", "name: !!python/name:os.system"), path.read_text()[:-40],
        ]))  # fmt: skip
        return
    path.write_text(yaml.safe_dump(tree))


def in_json(draw, run, victim):
    path = draw.choice([run / "result.json", run.parent / "sweep.json"])
    if not is_plain(path):
        return
    tree = json.loads(path.read_text())
    parent, key = leaf(draw, tree)
    parent[key] = draw.choice(hostile_values(victim))
    members = tree.get("members")
    if isinstance(members, list) and members and draw.random() < 0.8:
        member = draw.choice(members)
        if isinstance(member, dict):
            where, name = leaf(draw, member)
            where[name] = draw.choice([*hostile_values(victim), "../victim", str(victim), "0_x/../../victim", "."])
    path.write_text(json.dumps(tree))


def links(draw, run, victim):
    name = draw.choice(
        [
            *(".lock", "metrics.jsonl", "config.yaml", "result.json", "aetrain.log", "grids", "checkpoints", ".hydra"),
            *("checkpoints/last.pt", "checkpoints/best.pt"),
            *("../sweep.json", "../report", "../report.html", "../.report.lock", "../.sweep.lock", "../multirun.yaml"),
        ]
    )
    path = run / name
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    what = draw.randrange(4)
    if what == 0:
        path.symlink_to(victim / "precious.txt")
    elif what == 1:
        path.symlink_to(victim)
    elif what == 2:
        path.symlink_to(victim / "not there")
    else:
        os.link(victim / "precious.txt", path)


def words(draw, run, victim):
    """Stored words are not read at all."""
    lines = ["hydra.job_logging.handlers.file.filename=" + str(victim / "precious.txt"), "experiment=../../evil",
             f"+hydra.callbacks.x._target_=os.mkdir {victim}", "model=../evil", "data.root=" + str(victim)]  # fmt: skip
    path = draw.choice([run / ".hydra" / "overrides.yaml", run / ".hydra" / "hydra.yaml", run.parent / "multirun.yaml"])
    if path.is_symlink() or path.parent.is_symlink():
        return
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({"hydra": {"overrides": {"task": lines, "hydra": lines}}, "lines": lines}))
    (run / "evil.yaml").write_text(f"hydra: {{callbacks: {{x: {{_target_: os.mkdir, path: {victim / MARK}}}}}}}\n")


def in_checkpoint(draw, run, victim):
    path = run / "checkpoints" / draw.choice(["last.pt", "best.pt"])
    what = draw.randrange(5)
    if not is_plain(path):
        return
    if what == 0:
        path.write_bytes(pickle.dumps(Payload(victim)))
    elif what == 1:
        torch.save({"format": 1, "config": {}, "model": Payload(victim), "step": 0}, path)
    elif what == 2:
        content = bytearray(path.read_bytes())
        for _ in range(20):
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(content[: draw.choice([len(content), len(content) // 2, 10])])
    else:
        content = torch.load(path, weights_only=True)
        parent, key = leaf(draw, content)
        parent[key] = draw.choice(
            [*hostile_values(victim), torch.zeros(3), torch.full((2, 2), torch.nan), {"a": torch.ones(1)}]
        )
        torch.save(content, path)


MUTATIONS = (in_yaml, in_json, links, words, in_checkpoint)


# --- the trial


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A sweep of two members, from which every trial takes a copy."""
    from matplotlib import font_manager

    from aetrain.cli import main

    assert font_manager.fontManager.ttflist  # looked for once, with a cache of its own and other programs
    folder = tmp_path_factory.mktemp("pristine")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        line = ["-m", *TINY, "model=ae", "seed=0,1", "hydra.launcher.mode=sequential", "hydra.sweep.dir=sweep"]
        assert main(line) == 0
    return folder / "sweep"


def snapshot(folder):
    return {
        str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else None) for path in folder.rglob("*")
    }


def test_the_watch_sees(tmp_path):
    (tmp_path / "in").mkdir()
    WATCH.start(tmp_path / "in")
    (tmp_path / "in" / "a").write_text("allowed")
    (tmp_path / "out").write_text("seen")
    os.rename(tmp_path / "out", tmp_path / "out2")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "away")
    os.remove(tmp_path / "out2")
    pickle.loads(pickle.dumps(Payload(tmp_path)))
    seen = WATCH.stop()
    assert [event for event, _ in seen] == ["open", "os.rename", "os.rename", "os.remove", "os.mkdir"]


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        count = metafunc.config.getoption("--mutations")
        metafunc.parametrize("seed", range(0, count, 10), ids=lambda first: f"mutations from {first} on")


def test_nothing_of_a_foreign_folder_runs_or_reaches_outside(aetrain, pristine, seed, request):
    cache, count = Path(os.environ["XDG_CACHE_HOME"]), request.config.getoption("--mutations")
    for number in range(seed, min(seed + 10, count)):
        draw = random.Random(number)
        here = aetrain.folder / f"{number}"
        sweep, victim = here / "theirs" / "sweep", here / "victim"
        shutil.copytree(pristine, sweep)
        victim.mkdir()
        (victim / "precious.txt").write_text("precious")
        runs = sorted(path.parent for path in sweep.glob("*/config.yaml"))
        mutations = draw.sample(MUTATIONS, draw.choice([1, 1, 2]))
        for mutate in mutations:
            mutate(draw, draw.choice(runs), victim)
        told = f"mutation {number}: {[mutate.__name__ for mutate in mutations]}"
        before = snapshot(victim)
        names = {path.name for path in here.iterdir()}
        lines = [
            [f"resume={runs[0]}", "trainer.max_steps=8", "trainer.epochs=9"],
            [f"resume={sweep}", "hydra.launcher.mode=sequential"],
            ["report", f"run={sweep}"],
            ["report", f"run={runs[0]}"],
            ["evaluate", f"run={runs[0]}", "nll_samples=0", "codes=false"],
            ["evaluate", f"run={sweep}", "nll_samples=0", "codes=false"],
            ["explore", "n=20", *([f"run={sweep}"] if number % 2 else [f"run={runs[0]}", f"run2={runs[1]}"])],
        ]
        WATCH.start(here / "theirs", cache)
        try:
            for line in lines:
                code, _, err = aetrain(*line)
                assert code in (0, 1, 2), told
                assert "Traceback" not in err, f"{told}: {err}"
                assert code != 2 or err.count("\n") == 1, f"{told}: {err}"
            for run in runs:
                try:
                    package.load(run)
                except UserError as error:
                    assert "\n" not in str(error), told
        except AetrainError as error:
            pytest.fail(f"{told}: {error!r} was not told")
        finally:
            seen = WATCH.stop()
        assert not seen, f"{told}: {seen}"
        for path in here.rglob("explore.html"):  # ours, and theirs is data in it
            assert path.read_text(encoding="utf-8").count("<script") == SCRIPTS, told
        assert snapshot(victim) == before, told
        assert {path.name for path in here.iterdir()} == names, told
        assert not list(here.rglob(MARK)), told
        shutil.rmtree(here)
