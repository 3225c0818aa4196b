"""A folder whose files are links, pipes or folders: nothing outside of it is read, written or deleted."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from aetrain.errors import UserError
from aetrain.sweeps.report import make, rebuild, refresh
from tests.conftest import PYTHON
from tests.sweeps.report.synthetic import beta_sweep, config, grid, member, plan, report, sweep_folder

TARGETS = ["report.html", "report.csv", "report.json", ".report.lock", "report", "report/rate_distortion.png"]


def outside(folder: Path) -> Path:
    """A folder and a file that must stay as they are."""
    (folder / "outside").mkdir()
    for name in ("precious.txt", ".report.html.1.tmp", ".rate_distortion.png.1.tmp"):
        (folder / "outside" / name).write_text("precious")
    return folder / "outside"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("kind", ["file", "nothing", "folder", "pipe"])
def test_nothing_is_written_through_what_stands_in_a_files_place(tmp_path, caplog, name, kind):
    sweep = beta_sweep(tmp_path / "s", {1: (10, 100), 4: (5, 120)}, {0: 0.0})
    elsewhere = outside(tmp_path)
    before = content(elsewhere)
    if name.startswith("report/"):
        (sweep / "report").mkdir()
    if kind == "pipe":
        os.mkfifo(sweep / name)
    else:
        (sweep / name).symlink_to(
            {"file": elsewhere / "precious.txt", "nothing": elsewhere / "new"}.get(kind, elsewhere)
        )
    with pytest.raises(UserError, match=name.replace(".", r"\.")) as raised:
        make(sweep)
    assert "\n" not in str(raised.value)
    refresh(sweep)  # a run goes on
    assert name in caplog.records[-1].message
    assert content(elsewhere) == before and sorted(p.name for p in elsewhere.iterdir()) == sorted(before)


def test_only_files_of_its_own_are_deleted(tmp_path):
    sweep = beta_sweep(tmp_path / "s", {1: (10, 100), 4: (5, 120)}, {0: 0.0})
    (sweep / "report").mkdir()
    elsewhere = outside(tmp_path)
    ours = [sweep / ".report.html.12.tmp", sweep / "report" / ".model.beta-test.kl.png.12.tmp"]
    others = [sweep / ".report.notes.tmp", sweep / ".config.yaml.12.tmp", sweep / "report" / ".mine.txt.12.tmp"]
    for path in ours + others:
        path.write_text("x")
    link, folder = sweep / ".report.csv.7.tmp", sweep / ".report.json.7.tmp"
    link.symlink_to(elsewhere / "precious.txt")
    folder.mkdir()
    rebuild(sweep)
    assert not any(path.exists() for path in ours) and all(path.exists() for path in others)
    assert link.is_symlink() and folder.is_dir() and (elsewhere / "precious.txt").read_text() == "precious"


def test_a_link_under_the_temporary_name_is_not_written_through(tmp_path):
    sweep = beta_sweep(tmp_path / "s", {1: (10, 100), 4: (5, 120)}, {0: 0.0})
    elsewhere = outside(tmp_path)
    for name in ("report.html", "report.csv", "report.json"):
        (sweep / f".{name}.{os.getpid()}.tmp").symlink_to(elsewhere / "precious.txt")
    rebuild(sweep)
    assert (elsewhere / "precious.txt").read_text() == "precious"
    assert (sweep / "report.html").read_text().endswith("</html>\n") and not (sweep / "report.html").is_symlink()


@pytest.mark.parametrize(
    "linked", ["member", "config.yaml", "result.json", "metrics.jsonl", "grids", "grid", "sweep.json"]
)
def test_nothing_is_read_through_a_link(tmp_path, linked):
    sweep = sweep_folder(tmp_path / "s")
    for i, beta in enumerate((1.0, 4.0)):
        folder = member(sweep, f"{i}_x", ["model=beta_vae", f"model.beta={beta}"], {"test/recon": 77.0})
        grid(folder, "reconstructions", 8, 8)
    secret = member(tmp_path, "secret", ["model=beta_vae", "model.beta=123.5"], {"test/recon": 4321.5})
    (secret / "metrics.jsonl").write_text('{"step": 4321, "val/recon": 4321.5}\n')
    (secret / "sweep.json").write_text('{"format": 1, "members": [{"folder": "2_4321", "config": {}}]}')
    grid(secret, "reconstructions", 8, 8)
    places = {"member": sweep / "2_secret", "grid": folder / "grids" / "reconstructions_0009.png",
              "sweep.json": sweep / "sweep.json"}  # fmt: skip
    sources = {"member": secret, "grid": secret / "grids" / "reconstructions_0001.png"}
    place = places.get(linked, folder / linked)
    if linked in ("metrics.jsonl", "result.json"):
        (folder / "result.json").unlink()
    if linked == "grids":
        (folder / "grids").rename(folder / "kept")
    if linked == "config.yaml":
        place.unlink()
    place.symlink_to(sources.get(linked, secret / linked))
    report(sweep)
    page = (sweep / "report.html").read_text()
    for name in ("report.html", "report.csv", "report.json"):
        assert "4321" not in (sweep / name).read_text() and "123.5" not in (sweep / name).read_text(), name
    shown = page.count('alt="Reconstructions, ')
    assert shown == {"member": 3, "metrics.jsonl": 2, "result.json": 2, "config.yaml": 0}.get(linked, shown)
    assert linked not in ("grids", "grid") or "Reconstructions, β 4" not in page


AUDITED = """
import json, os, sys
import matplotlib.font_manager  # asks the system for its fonts once
seen = []
def hook(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, int) or not (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            return
        seen.append((event, os.path.abspath(os.fsdecode(path))))
    elif event in {f"os.{name}" for name in "remove rename mkdir rmdir link symlink truncate chmod".split()}:
        seen.extend((event, os.path.abspath(os.fsdecode(a))) for a in arguments if isinstance(a, str | bytes))
        seen.extend((event, os.path.abspath(a)) for a in arguments if isinstance(a, os.PathLike))
    elif event.startswith(("subprocess", "socket.connect", "os.system", "os.exec", "os.fork", "os.posix_spawn")):
        seen.append((event, ""))
sys.addaudithook(hook)
from aetrain.cli import main
code = main(["task=report", "run=" + sys.argv[1]])
print("\\n" + json.dumps([code, seen]))
"""


def test_nothing_outside_the_folder_is_touched(tmp_path):
    """Of a sweep whose files say all that has ever made a program do more than read them."""
    sweep = beta_sweep(tmp_path / "s", {1: (10, 100), 2: (6, 100), 4: (2, 100), 8: (2, 140)}, {0: 0.0})
    up = "../../../../../../../../.." + str(tmp_path / "evil")
    for i, folder in enumerate(sorted(path for path in sweep.iterdir() if path.is_dir())):
        tree = yaml.safe_load((folder / "config.yaml").read_text())
        tree |= {
            "hydra": {"callbacks": {"x": {"_target_": "os.mkdir", "path": up}}, "run": {"dir": up}},
            "experiment": up,
        }
        tree["data"]["root"] = up
        tree["model"]["name"] = up if i else "beta_vae"
        (folder / "config.yaml").write_text(yaml.safe_dump(tree))
        (folder / ".hydra").mkdir()
        (folder / ".hydra" / "overrides.yaml").write_text("- hydra.job_logging.handlers.file.filename=" + up)
        (folder / ".lock").symlink_to(tmp_path / "evil")
    (sweep / "multirun.yaml").write_text("!!python/object/apply:os.mkdir [evil]")
    plan(sweep, {f"{up}/{i}": config(f"model={up}") for i in range(3)} | {"7_x": config(f"model={up}", f"task={up}")})
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([PYTHON, "-c", AUDITED, str(sweep)], cwd=tmp_path, capture_output=True, text=True,
                          env=environment, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    code, seen = json.loads(done.stdout.splitlines()[-1])
    assert code == 0 and len(seen) > 10
    outside = [(event, path) for event, path in seen if not path.startswith(f"{sweep}/")]
    assert outside == [] and [path.name for path in tmp_path.iterdir()] == ["s"]
    touched = {Path(path).relative_to(sweep).parts[0] for _, path in seen}
    assert all(name.startswith((".report.", "report")) for name in touched), touched


def test_importing_the_report_is_cheap():
    program = "import sys, aetrain.sweeps.report; print(*{'torch', 'matplotlib', 'PIL', 'hydra'} & set(sys.modules))"
    done = subprocess.run([PYTHON, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
