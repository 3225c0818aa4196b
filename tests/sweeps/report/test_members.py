"""Members of any kind: missing, running, torn, malformed, hostile. They are listed, and stop nothing."""

import json
import os
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from PIL import Image

from tests.sweeps.report.synthetic import beta_sweep, grid, member, report, sweep_folder, table


def test_members_that_are_missing_running_or_torn(tmp_path):
    sweep = beta_sweep(tmp_path / "s", {1: (10, 100), 4: (5, 120)}, {0: 0.0})
    (sweep / "2_waiting" / ".hydra").mkdir(parents=True)
    for name, pid in (("3_running", os.getpid()), ("4_stopped", 2**22 + 1)):
        folder = member(sweep, name, ["model=beta_vae", "model.beta=8.0", "seed=0", "trainer.epochs=3"])
        (folder / "result.json").unlink()
        (folder / ".lock").write_text(str(pid))
        rows = [{"step": 5, "epoch": 1.0, "val/kl": 7.5}, {"step": 6, "epoch": 1.2, "train/loss": None}]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows) + '{"step": 7, "val/kl": 9')
    torn = member(sweep, "5_torn", ["model=beta_vae", "model.beta=8.0", "seed=0", "trainer.epochs=3"])
    (torn / "result.json").write_text('{"status": "done", "metr')
    no_config = member(sweep, "6_new", ["model=beta_vae", "model.beta=2.0", "seed=0", "trainer.epochs=3"])
    (no_config / "config.yaml").unlink()
    (sweep / "7_empty").mkdir()  # made, and nothing in it: no member yet
    data = report(sweep)
    found = {m["member"].partition("_")[0]: m for m in data["members"]}
    assert [found[str(i)]["status"] for i in range(2, 7)] == ["waiting", "running", "stopped", "unreadable", "done"]
    assert found["3"]["metrics"] == {"val/kl": 7.5, "train/loss": None} and found["3"]["step"] == 6
    assert "result.json" in found["5"]["reason"] and data["swept"] == {"model.beta": [1, 2.0, 4, 8]}
    page = (sweep / "report.html").read_text()
    assert "running, step 6" in page and page.index("Not done") < page.index("<table")
    assert len(table(sweep)) == 7


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
        folder = member(
            sweep, name, [f"model={EVIL}{i}", "=cmd|x", f"+{EVIL}=1", f"model.x=$_$ {EVIL}"],
            {"test/recon": float("nan"), f"test/{EVIL}": 1, "test/kl": 10**400, "test/loss": 1e308, "test/nelbo": "x"},
            reason=EVIL + "\ud800\x00", latent={"kl_per_dimension": [None, "x", 1.0]},
        )  # fmt: skip
        grid(folder, "reconstructions", 8, 8)
    data = report(sweep)
    assert {m["metrics"]["test/recon"] for m in data["members"]} == {None}
    page = (sweep / "report.html").read_text()
    elements = Elements(page).found
    assert [tag for tag, _ in elements].count("script") == 1 and ">NaN<" in page
    for tag, attributes in elements:
        assert not [name for name in attributes if name.startswith("on")], attributes
        address = attributes.get("src") or attributes.get("href") or "data:"
        assert address.startswith(("data:image/", "data:") if tag != "a" else "./"), address
    assert [row["reason"] for row in table(sweep)] == [EVIL + "? "] * 4
    assert {row["model"] for row in table(sweep)} == {f"{EVIL}{i}" for i in range(4)}
    assert not [v for row in table(sweep) for v in row.values() if v.startswith(("=", "+", "@"))]


# Ten lines of YAML that stand for 2 · 3⁹ values.
TRIPLES = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{c}: &{c} {{p: *{b}, q: *{b}, r: *{b}}}\n" for b, c in pairwise("abcdefghij")
)
MALFORMED = {
    "config.yaml": ["!!python/object/apply:os.mkdir [owned]", "[1, 2]", "a: [", "\x00", "{a: " * 3000, TRIPLES],
    "result.json": ["[" * 100_000, "{}", '{"status": "<b>"}', "[]", "", '{"status": "done", "step": 1' + "0" * 5000],
    ".hydra/overrides.yaml": ["model: vae", "[1]", "!!python/name:os.system ''"],
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
    assert [m["status"] for m in report(sweep)["members"]] == ["waiting", "done"]
