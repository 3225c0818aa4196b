"""A folder whose files are links, pipes or folders: nothing outside of it is read, written or deleted."""

import os
from pathlib import Path

import pytest

from aetrain.errors import UserError
from aetrain.sweeps.report import make, rebuild, refresh
from tests.sweeps.report.synthetic import beta_sweep, grid, member, report, sweep_folder

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
