"""The report in a real browser: what is drawn, sorted, asked for and refused."""

import re

import pytest

from aetrain.sweeps.report import rebuild
from tests.sweeps.report.synthetic import beta_sweep, grid, member, sweep_folder

CELLS = "return [...document.getElementById('members').tBodies[0].rows].map(row => row.cells[arguments[0]].textContent)"
HEADS = "return [...document.querySelectorAll('#members th')].map(th => [th.textContent, th.getAttribute('aria-sort')])"
CLICK = "document.querySelectorAll('#members th button')[arguments[0]].click()"
EVIL = (
    '"><script>document.title = "owned"</script><img src="http://127.0.0.1:9/x" onerror="document.title = \'owned\'">'
)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Every kind of content: plots, galleries, both tables, a failed member with hostile words, a missing metric."""
    curve = {2: (2.0, 130.0), 16: (0.3, 180.0), 0.5: (20.0, 90.0), 1: (9.0, 100.0)}
    sweep = beta_sweep(tmp_path_factory.mktemp("sweeps") / "s", curve, {0: 0.0, 1: 1.5})
    overrides = ["model=beta_vae", "model.beta=100.0", "seed=0", "trainer.epochs=3"]
    member(sweep, "8_failed", overrides, {"test/recon": float("nan")}, status="failed", reason=EVIL)
    rebuild(sweep)
    return sweep


def shown(browser, sweep, width=1280):
    browser.width(width, mobile=width < 500)
    browser.open(sweep / "report.html")


def test_it_renders_and_asks_nothing_of_any_network(browser, sweep):
    shown(browser, sweep)
    assert browser.run("return document.title") == "Sweep of model.beta · s"
    images = browser.run("return [...document.images].map(i => [i.className, i.naturalWidth, i.complete])")
    assert len(images) == 3 + 5 + 4 and all(width > 0 and done for _, width, done in images)
    assert browser.run("return document.querySelectorAll('.plot img').length") == 3
    assert browser.log("browser") == []  # no error, and nothing that the policy has refused
    asked = browser.requested()
    assert [url for url in asked if not url.startswith("data:")] == [(sweep / "report.html").as_uri()]
    entries = browser.run("return performance.getEntriesByType('resource').map(e => e.name)")
    assert not [name for name in entries if not name.startswith("data:")]
    assert EVIL in browser.run("return document.querySelector('.failures').textContent")


def test_the_policy_refuses_any_other_script_and_address(browser, sweep):
    shown(browser, sweep)
    browser.run(
        "const script = document.createElement('script'); script.textContent = 'document.title = \"owned\"';"
        "document.body.append(script); const image = new Image(); image.src = 'http://127.0.0.1:9/x'"
    )
    refused = [entry["message"] for entry in browser.log("browser")]
    assert len(refused) == 2 and all("Content Security Policy" in message for message in refused)
    assert browser.run("return document.title") == "Sweep of model.beta · s"


def test_a_click_sorts_numbers_as_numbers_and_the_missing_last(browser, sweep):
    shown(browser, sweep)
    names = [name for name, _ in browser.run(HEADS)]
    beta, recon = names.index("model.beta"), names.index("test/recon")
    assert browser.run(CELLS, beta) == ["2", "2", "16", "16", "0.5", "0.5", "1", "1", "100"]
    browser.run(CLICK, beta)
    assert browser.run(CELLS, beta) == ["0.5", "0.5", "1", "1", "2", "2", "16", "16", "100"]
    assert dict(browser.run(HEADS))["model.beta"] == "ascending"
    browser.run(CLICK, beta)
    assert browser.run(CELLS, beta) == ["100", "16", "16", "2", "2", "1", "1", "0.5", "0.5"]
    assert dict(browser.run(HEADS))["model.beta"] == "descending"
    for direction in (1, -1):
        browser.run(CLICK, recon)
        *numbers, last = browser.run(CELLS, recon)
        assert last == "NaN" and [float(n) for n in numbers] == sorted(map(float, numbers))[::direction]
    assert [sort for _, sort in browser.run(HEADS) if sort] == ["descending"]


def test_the_keyboard_sorts_too(browser, sweep):
    shown(browser, sweep)
    browser.run("document.querySelectorAll('#members th button')[2].focus()")
    browser.devtools("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", text="\r",
                     windowsVirtualKeyCode=13)  # fmt: skip
    assert dict(browser.run(HEADS))["model.beta"] == "ascending"


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overflows_the_screen(browser, sweep, width):
    shown(browser, sweep, width)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run("return innerWidth") == width
    wide = browser.run("return [...document.images].filter(i => i.getBoundingClientRect().right > innerWidth).length")
    assert wide == 0
    if width == 390:
        assert browser.run("const box = document.querySelector('.box'); return box.scrollWidth > box.clientWidth")


def test_filters_and_activation_of_a_rho_sweep(browser, tmp_path):
    sweep = sweep_folder(tmp_path / "s")
    for i, rho in enumerate((0.02, 0.05, 0.2)):
        metrics = {"test/recon": 50.0 - i, "test/mean_activation": rho * 1.1, "test/dead_units": 3.0 * i}
        grid(member(sweep, f"{i}_r", ["model=sparse", f"model.rho={rho}"], metrics), "filters", 8, 8)
    rebuild(sweep)
    shown(browser, sweep, 390)
    labels = browser.run("return [...document.querySelectorAll('.squares span')].map(s => s.textContent)")
    assert labels == ["ρ 0.02", "ρ 0.05", "ρ 0.2"]
    assert browser.run("return [...document.images].every(i => i.naturalWidth > 0)") and browser.log("browser") == []
    assert len(re.findall("target mean activation ρ", (sweep / "report.html").read_text())) == 1
