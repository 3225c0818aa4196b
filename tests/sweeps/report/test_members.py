"""Members of any kind: missing, running, torn, malformed, hostile. They are listed, and stop nothing."""

import errno
import fcntl
import json
import os
from html.parser import HTMLParser
from itertools import pairwise

import pytest
import yaml
from PIL import Image

from tests.sweeps.report.synthetic import beta_sweep, config, grid, member, plan, report, sweep_folder, table


def test_members_that_are_planned_running_or_torn(tmp_path):
    sweep = beta_sweep(tmp_path / "s", {1: (10, 100), 4: (5, 120)}, {0: 0.0})
    words = ["model=beta_vae", "model.beta=8.0", "trainer.epochs=3"]
    plan(sweep, {"2_planned": config("model=beta_vae", "model.beta=16.0", "trainer.epochs=3")})
    locks = []
    # A process that is alive says nothing, nor does one that is not: the lock does.
    for name, pid, locked in (("3_running", 2**22 + 1, True), ("4_stopped", os.getpid(), False)):
        folder = member(sweep, name, words)
        (folder / "result.json").unlink()
        (folder / ".lock").write_text(str(pid))
        locks.append(open(folder / ".lock"))  # noqa: SIM115
        if locked:
            fcntl.flock(locks[-1], fcntl.LOCK_EX)
        rows = [{"step": 5, "epoch": 1.0, "val/kl": 7.5}, {"step": 6, "epoch": 1.2, "train/loss": None}]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows) + '{"step": 7, "val/kl": 9')
    torn = member(sweep, "5_torn", words)
    (torn / "result.json").write_text('{"status": "done", "metr')
    no_config = member(sweep, "6_new", ["model=beta_vae", "model.beta=2.0"], {"test/recon": 1.0})
    (no_config / "config.yaml").unlink()
    (sweep / "7_empty").mkdir()  # made, and nothing in it: no run yet
    data = report(sweep)
    found = {m["member"].partition("_")[0]: m for m in data["members"]}
    assert [found[str(i)]["status"] for i in range(2, 7)] == ["waiting", "running", "stopped", "unreadable", "done"]
    assert found["3"]["metrics"] == {"val/kl": 7.5, "train/loss": None} and found["3"]["step"] == 6
    assert "result.json" in found["5"]["reason"] and data["swept"] == {"model.beta": [1, 4, 8, 16]}
    assert "values" in found["6"] and not found["6"]["values"]  # where it belongs is not known, so it is in no mean
    assert not [a for a in data["aggregates"] if not a["values"]]
    page = (sweep / "report.html").read_text()
    assert "running, step 6" in page and page.index("Not done") < page.index("<table")
    assert len(table(sweep)) == 7
    for lock in locks:
        lock.close()
    assert [m["status"] for m in report(sweep)["members"] if m["member"] == "3_running"] == ["stopped"]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_without_locks(tmp_path, monkeypatch, number):
    """The report is written, and a run without a result has stopped as far as anyone can tell."""
    sweep = sweep_folder(tmp_path / "s")
    folder = member(sweep, "0_a", ["model=vae"])
    (folder / "result.json").unlink()
    (folder / ".lock").write_text("1")

    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    assert [m["status"] for m in report(sweep)["members"]] == ["stopped"]


def test_a_writers_lock_is_left_as_it_was(tmp_path):
    """A run can start right after a report has asked for its lock."""
    folder = member(sweep_folder(tmp_path / "s"), "0_a", ["model=vae"])
    (folder / "result.json").unlink()
    (folder / ".lock").write_text("1")
    report(tmp_path / "s")
    with open(folder / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert (folder / ".lock").read_text() == "1"


def test_a_sweep_in_which_nothing_got_done(tmp_path):
    sweep = sweep_folder(tmp_path / "s")
    assert report(sweep)["members"] == []
    for i, lr in enumerate((1.0, 2.0)):
        member(sweep, f"{i}_lr", ["model=ae", f"optimizer.lr={lr}"], status="failed", reason="diverged: loss at step 2")
    assert [m["reason"] for m in report(sweep)["members"]] == ["diverged: loss at step 2"] * 2
    page = (sweep / "report.html").read_text()
    assert "diverged: loss at step 2" in page and "2 failed" in page and "optimizer.lr=1.0" not in page


class Elements(HTMLParser):
    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


EVIL = '"><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>'


def test_nothing_in_a_members_files_becomes_part_of_the_page(tmp_path):
    sweep = sweep_folder(tmp_path / "s")
    names = ['0_"><script>alert(1)<', "javascript:alert(1)", "2_\udcff\n\u202e", "3_$x^{$"]
    for i, name in enumerate(names):
        metrics = {"test/recon": float("nan"), f"test/{EVIL}": 1, "test/kl": 10**400, "test/loss": 1e308,
                   "test/nelbo": "x", f"=cmd|{EVIL}": 1}  # fmt: skip
        folder = member(
            sweep, name, [f"model={EVIL}{i}"], metrics, reason=EVIL + "\ud800\x00\u202e",
            latent={"kl_per_dimension": [None, "x", 1.0]},
        )  # fmt: skip
        tree = yaml.safe_load((folder / "config.yaml").read_text())
        tree["model"] |= {EVIL: i, "=cmd": [f"$_$ {EVIL}", i], "likelihood": f"=cmd|' /C calc'!A{i} \u202e"}
        tree |= {"javascript:alert(1)": f"javascript:{i}", "\u202e": f"{i}\u2066"}
        (folder / "config.yaml").write_text(yaml.safe_dump(tree))
        grid(folder, "reconstructions", 8, 8)
    # The same option for two of them: keys that differ between them are axes.
    second = yaml.safe_load((sweep / names[1] / "config.yaml").read_text())
    second["model"]["name"] = f"{EVIL}0"
    (sweep / names[1] / "config.yaml").write_text(yaml.safe_dump(second))
    data = report(sweep)
    assert {m["metrics"]["test/recon"] for m in data["members"]} == {None}
    assert {"model", f"model.{EVIL}", "model.=cmd", "javascript:alert(1)"} < set(data["swept"])
    page = (sweep / "report.html").read_text()
    elements = Elements(page).found
    assert [tag for tag, _ in elements].count("script") == 1 and ">NaN<" in page
    assert not [c for c in page if not c.isprintable() and c != "\n"]
    for tag, attributes in elements:
        assert not [name for name in attributes if name.startswith("on")], attributes
        address = attributes.get("src") or attributes.get("href") or "data:"
        assert address.startswith(("data:image/", "data:") if tag != "a" else "./"), address
    rows = table(sweep)
    assert [row["reason"] for row in rows] == [f"{EVIL}\ufffd\ufffd\ufffd"] * 4
    assert {row["model"] for row in rows} == {f"{EVIL}{i}" for i in (0, 2, 3)}
    words = [*rows[0], *(v for row in rows for v in row.values())]
    assert not [word for word in words if word.startswith(("=", "+", "@", "-"))]
    assert all(c.isprintable() for word in words for c in word)


# Ten lines of YAML that stand for 2 · 3⁹ values.
TRIPLES = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{c}: &{c} {{p: *{b}, q: *{b}, r: *{b}}}\n" for b, c in pairwise("abcdefghij")
)
MALFORMED = {
    "config.yaml": [
        "!!python/object/apply:os.mkdir [owned]",
        "[1, 2]",
        "[" * 1_000_000,
        "a: [",
        "\x00",
        "{a: " * 3000,
        TRIPLES,
    ],
    "result.json": ["[" * 100_000, "{}", '{"status": "<b>"}', "[]", "", '{"status": "done", "step": 1' + "0" * 5000],
}


@pytest.mark.parametrize(("name", "content"), [(n, c) for n, cs in MALFORMED.items() for c in cs])
def test_a_malformed_member_says_why_and_stops_nothing(tmp_path, monkeypatch, name, content):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aetrain.sweeps.report.write.draw", lambda _: [])  # the drawing is not in question
    sweep = beta_sweep(tmp_path / "s", {1: (10, 100), 4: (5, 120)}, {0: 0.0})
    bad = member(sweep, "2_bad", ["model=beta_vae", "model.beta=2", "seed=0", "trainer.epochs=3"], {"test/recon": 1.0})
    (bad / name).write_text(content)
    found = report(sweep)["members"]
    assert [m["status"] for m in found[:2]] == ["done", "done"]
    assert found[2]["status"] == "unreadable" or name != "result.json"
    assert found[2]["reason"] and not (tmp_path / "owned").exists()


def test_files_that_are_none(tmp_path):
    """A pipe that nobody writes into, a folder, a picture that is damaged or larger than any grid."""
    sweep = beta_sweep(tmp_path / "s", {1: (10, 100), 4: (5, 120)}, {0: 0.0})
    one, two = sorted(p for p in sweep.iterdir() if p.is_dir())
    (one / "result.json").unlink()
    os.mkfifo(one / "result.json")
    (one / "metrics.jsonl").mkdir()
    png = two / "grids" / "reconstructions_0002.png"
    png.write_bytes((two / "grids" / "reconstructions_0001.png").read_bytes()[:200])
    Image.new("1", (5000, 5000)).save(two / "grids" / "traversals_0002.png")
    first, second = report(sweep)["members"]
    assert (first["status"], second["status"]) == ("unreadable", "done")
    assert "result.json: not a regular file" in first["reason"] and "metrics.jsonl" in first["reason"]
