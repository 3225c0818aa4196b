"""What stands around a command: closed streams, no home, names and files of the user's own. Real processes where that
matters."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from aetrain import cli
from tests.conftest import PYTHON, SMALL
from tests.sweeps.report.synthetic import beta_sweep

NO_HOME = """
import os, pwd, sys
def nobody(*_):
    raise KeyError("getpwuid(): uid not found")
pwd.getpwuid = pwd.getpwnam = nobody
for name in ("HOME", "XDG_CACHE_HOME", "USER", "LOGNAME", "USERNAME", "LNAME"):
    os.environ.pop(name, None)
from aetrain.cli import main
print("codes", main([*sys.argv[1:], "hydra.run.dir=a"]), main([*sys.argv[1:], "hydra.run.dir=b", "data.root=mnist"]))
"""


def shell(folder, command, **environment):
    return subprocess.run(command.replace("aetrain ", f"{PYTHON} -m aetrain "), shell=True, cwd=folder,
                          capture_output=True, text=True, check=False, env=os.environ | environment)  # fmt: skip


def status(run):
    return json.loads((run / "result.json").read_text())["status"]


@pytest.mark.longer
def test_without_stdin_stdout_and_stderr(tmp_path):
    line = " ".join([*SMALL, "trainer.max_steps=1"])
    assert shell(tmp_path, f"aetrain {line} hydra.run.dir=run >&- 2>&- <&-").returncode == 0
    done = shell(tmp_path, f"aetrain -m {line} hydra.launcher.mode=processes seed=0,1 hydra.sweep.dir=sweep >&-")
    assert done.returncode == 0, done.stderr
    members = sorted((tmp_path / "sweep").glob("?_*"))
    assert [status(run) for run in (tmp_path / "run", *members)] == ["done"] * 3
    assert "test/loss" in (tmp_path / "run" / "aetrain.log").read_text()


def test_a_reader_that_leaves(tmp_path):
    (tmp_path / "sweep").mkdir()
    beta_sweep(tmp_path / "sweep", {1: (25.1, 80.2), 4: (12.3, 101.0)}, {0: 0.0})
    for line in ("--help", "--cfg all", "cache", "report run=sweep", "runs sweep"):
        done = shell(tmp_path, f"(aetrain {line}; echo code $? >&2) | true", PYTHONUNBUFFERED="1")
        assert done.stderr == "code 0\n"


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "utf-8:strict"}, ASCII],
                         ids=["ascii", "strict", "C"])  # fmt: skip
def test_an_output_that_does_not_take_every_character(tmp_path, environment):
    folder = tmp_path / os.fsdecode("läufe\udcff".encode(errors="surrogateescape"))
    folder.mkdir()
    beta_sweep(folder, {1: (25.1, 80.2)}, {0: 0.0})
    for line, code in (("--help", 0), ("runs .", 0), ("trainer.epochs=…", 2)):
        done = shell(tmp_path, f"aetrain {line}", **environment)
        assert done.returncode == code and "Error" not in done.stderr, done.stderr
    assert r"\udcff" in shell(tmp_path, "aetrain runs .", **environment).stdout


@pytest.mark.longer
def test_no_home_and_no_entry_for_the_user(tmp_path):
    """A place for the data has to be named."""
    done = subprocess.run([PYTHON, "-c", NO_HOME, *SMALL, "trainer.max_steps=1"], cwd=tmp_path, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.stdout.splitlines()[-1] == "codes 2 0", done.stderr
    assert done.stderr.count("\n") == 1 and "data.root=" in done.stderr
    assert status(tmp_path / "b") == "done"


LONG = "n" * 260


@pytest.mark.parametrize(
    "line",
    ["hydra.run.dir={}", "hydra.run.dir=a/{}/b", "resume={}", "-cn {}", "--config-dir {}", "model={}", "{}=1"],
)
def test_a_name_of_260_characters(aetrain, line):
    code, out, err = aetrain(*line.format(LONG).split())
    assert (code, out) == (2, "") and err.count("\n") == 1 and LONG[:20] in err
    assert not list(aetrain.folder.rglob("*.*"))


NO_UTF_8 = "a\udcff"  # as Python has a name with the byte ff


def test_a_working_folder_whose_name_is_no_utf_8(aetrain, monkeypatch):
    (aetrain.folder / NO_UTF_8).mkdir()
    monkeypatch.chdir(aetrain.folder / NO_UTF_8)
    line = [*SMALL, "trainer.max_steps=1"]
    code, _, err = aetrain(*line, f'hydra.run.dir="run{NO_UTF_8}"')
    assert (code, err) == (0, "") and status(Path(f"run{NO_UTF_8}")) == "done"
    assert NO_UTF_8 in OmegaConf.load(f"run{NO_UTF_8}/.hydra/hydra.yaml").hydra.runtime.cwd
    code, _, err = aetrain(*line, "-m", "seed=0,1", "hydra.launcher.mode=sequential", "hydra.sweep.dir=sweep")
    assert (code, err) == (0, "")
    assert aetrain("evaluate", f"run=run{NO_UTF_8}", "nll_samples=0", "codes=false")[0] == 0


def test_images_in_a_folder_whose_name_is_no_utf_8(aetrain):
    code, out, err = aetrain("data=folder", f'data.path="{NO_UTF_8}"')
    assert (code, out, err.count("\n")) == (2, "", 1) and r"a\udcff: holds" in err and "not UTF-8" in err


# --- the user's own YAML


@pytest.fixture(params=["my conf", "a,b", "[x]", "läufe=1", "it's"])
def own(aetrain, request):
    """A folder of the user's own YAML, with a name that Hydra's grammar does not take."""
    folder = aetrain.folder / request.param
    (folder / "experiment").mkdir(parents=True)
    (folder / "experiment" / "mine.yaml").write_text("# @package _global_\nmodel: {latent_dim: 7}\n")
    (folder / "top.yaml").write_text("defaults: [config, _self_]\nmodel: {latent_dim: 9}\n")
    return folder


def test_a_folder_of_ones_own_works_whatever_its_name(aetrain, own):
    further = aetrain.folder / "further" / "experiment"
    further.mkdir(parents=True)
    (further / "theirs.yaml").write_text("# @package _global_\nmodel: {latent_dim: 8}\n")
    given = [["--config-dir", own.name], [f"--config-path={own.name}"], ["-cd", str(own), "hydra.searchpath=[further]"]]
    for words in given:
        assert "latent_dim: 7\n" in aetrain(*words, "experiment=mine", "--cfg", "job")[1]
    assert "latent_dim: 8\n" in aetrain(*given[2], "experiment=theirs", "--cfg", "job")[1]
    assert "latent_dim: 9\n" in aetrain(*given[0], "-cn", "top", "--cfg", "job")[1]
    assert "model.latent_dim=9" in aetrain(*given[0], "-cn", "top", "--help")[1]


def test_a_run_and_a_sweep_of_ones_own_configuration(aetrain, small_run, monkeypatch):
    (aetrain.folder / "my conf").mkdir()
    (aetrain.folder / "my conf" / "top.yaml").write_text("defaults: [config, _self_]\nmodel: {latent_dim: 9}\n")
    words = ["--config-dir", "my conf", "-cn", "top", "trainer.max_steps=1"]
    assert "latent_dim: 9\n" in (small_run(*words) / "config.yaml").read_text()
    code, _, err = aetrain(*SMALL, *words, "-m", "seed=0,1", "hydra.launcher.mode=sequential", "hydra.sweep.dir=s")
    assert code == 0, err
    configs = [path.read_text() for path in (aetrain.folder / "s").glob("?_*/config.yaml")]
    assert len(configs) == 2 and all("latent_dim: 9\n" in config for config in configs)


FILES = {
    "tab": ("# @package _global_\nmodel:\n\tlatent_dim: 3\n", "experiment/tab.yaml, line 3: a tab"),
    "package": ("model: {latent_dim: 3}\n", "write '# @package _global_' as the first line of experiment/package.yaml"),
    "broken": ("# @package _global_\nmodel: {a: b\n", "experiment/broken.yaml, line 3: not readable as YAML"),
    "list": ("# @package _global_\n- a\n", "experiment/list.yaml: a list"),
    "key": ("# @package _global_\nmodel: {latent: 3}\n", "key.yaml: unknown key 'model.latent': did you mean "
                                                          "model.latent_dim?"),
    "type": ("# @package _global_\nmodel: {latent_dim: x}\n", "experiment/type.yaml: model.latent_dim=x: give a whole"),
    "twice": ("# @package _global_\ndefaults: [/model: ae]\n", "write 'override /model: ae'"),
    "group": ("# @package _global_\ndefaults: [override /modle: ae]\n", "group.yaml: modle: there is no such group"),
    "latin": ("# @package _global_\nmodel: {name: \xe9}\n", "experiment/latin.yaml: not UTF-8"),
    "unused": ("# @package _global_\nmodel: {sigma: 2}\n", "experiment/unused.yaml: model.sigma has no effect with "
                                                            "model.likelihood=bernoulli"),
    "deeper": ("# @package _global_\ndefaults: [unused, _self_]\n", "model.sigma has no effect"),
}  # fmt: skip


@pytest.mark.parametrize("sweep", [[], ["-m", "seed=0,1"]], ids=["run", "sweep"])
@pytest.mark.parametrize("name", FILES)
def test_a_mistake_in_ones_own_file_names_it(aetrain, name, sweep):
    (aetrain.folder / "my" / "experiment").mkdir(parents=True)
    for file, (content, _) in FILES.items():
        (aetrain.folder / "my" / "experiment" / f"{file}.yaml").write_text(content, encoding="latin-1")
    code, out, err = aetrain("--config-dir", "my", f"experiment={name}", *sweep)
    assert (code, out) == (2, "") and err.count("\n") == 1 and FILES[name][1] in err
    assert not (aetrain.folder / "outputs" / "vae").exists() and not list(aetrain.folder.glob("outputs/sweeps/*"))


def test_the_working_folder_stays(aetrain):
    (aetrain.folder / "top.yaml").write_text("defaults: [config, _self_]\nhydra: {job: {chdir: true}}\n")
    for words in (["hydra.job.chdir=true"], ["-cd", ".", "-cn", "top"], ["-cd", ".", "-cn", "top", "-m", "seed=0,1"]):
        code, out, err = aetrain(*words)
        assert (code, out) == (2, "") and err.count("\n") == 1 and "hydra.job.chdir=true: refused" in err
    assert not list(aetrain.folder.glob("outputs/*/*"))


def test_the_configuration_of_a_run_that_would_go_on(aetrain, small_run):
    small_run("model.latent_dim=7", folder="run")
    code, out, _ = aetrain("resume=run", "trainer.epochs=40", "--cfg", "job")
    assert code == 0 and "latent_dim: 7\n" in out and "  epochs: 40\n" in out


# --- signals


@pytest.mark.usefixtures("hung_up")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_signal_before_there_is_anything_to_write(aetrain, monkeypatch, number, code):
    before = signal.getsignal(number)
    monkeypatch.setattr(cli, "composed", lambda *_: os.kill(os.getpid(), number))
    ended, _, err = aetrain(*SMALL, "hydra.run.dir=run")
    assert ended == code and err.count("\n") == 1 and "stopped" in err
    assert not (aetrain.folder / "run").exists() and signal.getsignal(number) is before


IMPORTING = """
import os, signal, sys
from pathlib import Path
Path(sys.argv[1], "catching.py").write_text("import os, signal\\ntry: os.kill(os.getpid(), signal.SIGINT)\\n"
                                             "except BaseException: pass")
sys.path.insert(0, sys.argv[1])
from aetrain import cli
cli.composed = lambda *_: __import__("catching")
cli.main(["hydra.run.dir=run"])
"""


def test_a_signal_is_not_lost_in_an_import(tmp_path):
    """torch's runs Python in C++ code that swallows an exception, or aborts."""
    done = subprocess.run([PYTHON, "-c", IMPORTING, tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "aetrain: SIGINT: stopped\n")


def test_what_is_ignored_stays_ignored(aetrain, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    composed = cli.composed
    monkeypatch.setattr(cli, "composed", lambda *words: os.kill(os.getpid(), signal.SIGHUP) or composed(*words))
    try:
        assert aetrain(*SMALL, "trainer.max_steps=1", "hydra.run.dir=run")[0] == 0
    finally:
        signal.signal(signal.SIGHUP, before)
