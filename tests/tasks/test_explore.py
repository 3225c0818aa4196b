"""`aetrain explore run=…`, in a real browser."""

import dataclasses
import json
import os
import re
import shutil
from types import SimpleNamespace

import pytest
import torch

import aetrain as package
from aetrain.document import data
from aetrain.errors import UserError
from aetrain.tasks import explore
from tests.conftest import compose
from tests.explorer.pages import lively, opened, pixels, written
from tests.tasks.conftest import TINY

EVIL = (
    '</script><script>document.title="owned"</script><img src="http://127.0.0.1:9/x" onerror="document.title=1"> \u2028'
)
BLACK = "return [...document.getElementById(arguments[0]).getContext('2d').getImageData(0, 0, 28, 28).data]"


@pytest.fixture(scope="module")
def explored(trained, tmp_path_factory):
    return package.explore(trained, "n=100", out=tmp_path_factory.mktemp("explored") / "o")


@pytest.fixture
def page(browser, explored):
    opened(browser, explored.folder / "explore.html")
    return browser


def text(browser, name):
    return browser.run("return document.getElementById(arguments[0]).textContent", name)


def test_it_opens_without_a_request_or_an_error(page, explored):
    assert page.log("browser") == []
    assert [u for u in page.requested() if u.startswith("http")] == []
    assert page.run("return performance.getEntriesByType('resource').length") == 0
    record = json.loads((explored.folder / "explore.json").read_text())
    assert record["metrics"]["images"] == 100
    assert record["metrics"]["megabytes"] == pytest.approx(os.path.getsize(explored.folder / "explore.html") / 1e6)


def test_dimensions_are_ordered_by_kl_and_a_slider_changes_the_picture_at_once(page):
    kl = page.run("return sliders.map(s => model.kl[s.d])")
    assert kl == sorted(kl, reverse=True) and len(kl) == 3
    before = page.run(BLACK, "decoded")
    page.run("const s = sliders[0].input; s.value = 3; s.dispatchEvent(new Event('input'))")
    after = page.run(BLACK, "decoded")
    assert after != before and page.run("return state.z[sliders[0].d]") == 3
    wanted = page.run("return [...Uint8ClampedArray.from(decode(state.z), v => 255 * v)]")
    assert after[::4] == wanted
    times = page.run(
        "const times = []; for (let k = 0; k < 40; k++) { const s = sliders[k % 3].input, began = performance.now();"
        "s.value = Math.sin(k); s.dispatchEvent(new Event('input')); times.push(performance.now() - began) }"
        "return times.sort((a, b) => a - b)"
    )
    assert times[20] < 50


def test_the_keyboard_moves_a_slider_and_walks_the_map(page):
    press = {"type": "keyDown", "key": "ArrowRight", "code": "ArrowRight", "windowsVirtualKeyCode": 39}
    page.run("sliders[1].input.focus()")
    before = page.run("return state.z[sliders[1].d]")
    page.devtools("Input.dispatchKeyEvent", **press)
    assert page.run("return state.z[sliders[1].d]") == pytest.approx(min(3, before + 0.12), abs=1e-5)
    page.run("showImage(3); document.getElementById('map').focus()")
    x = page.run("return spot(state.z)[0]")
    page.devtools("Input.dispatchKeyEvent", **press)
    assert page.run("return spot(state.z)[0]") > x and page.run("return state.image") not in (None, 3)


def test_buttons_reset_to_the_prior_to_an_image_and_to_a_draw(page):
    click = "document.getElementById(arguments[0]).click(); return [...state.z]"
    assert page.run(click, "center") == [0, 0, 0]
    assert page.run(click, "draw") != page.run(click, "draw")
    assert page.run(click, "next") == page.run("return [...encode(image(0))]")
    assert page.run(click, "next") == page.run("return [...encode(image(1))]")
    assert text(page, "original-caption") == page.run("return title(1)")


def test_the_map_shows_an_image_under_the_pointer_and_takes_its_code(page):
    at = page.run(
        "document.getElementById('map').scrollIntoView({block: 'center'});"
        "const box = document.getElementById('map').getBoundingClientRect();"
        "const [x, y] = onScreen([at(7, 0), at(7, 1)], box); return [box.left + x, box.top + y, nearest(x, y, 9)]"
    )
    mouse = {"x": at[0], "y": at[1], "button": "left", "clickCount": 1, "buttons": 1}
    page.devtools("Input.dispatchMouseEvent", type="mouseMoved", x=at[0], y=at[1])
    assert not page.run("return document.getElementById('tip').hidden")
    assert text(page, "tip-text") == page.run("return title(arguments[0])", at[2])
    page.devtools("Input.dispatchMouseEvent", type="mousePressed", **mouse)
    page.devtools("Input.dispatchMouseEvent", type="mouseReleased", **mouse)
    assert page.run("return state.image") == at[2]


def test_a_line_leads_from_one_code_to_another(page):
    page.run("showImage(2); document.getElementById('aim').click(); aimAt(5); stop()")
    for share in (0, 0.25, 1):
        page.run("const s = document.getElementById('along'); s.value = arguments[0];"
                 "s.dispatchEvent(new Event('input'))", share)  # fmt: skip
        wanted = page.run("const [a, b] = [2, 5].map(i => [...encode(image(i))]);"
                          "return a.map((v, d) => v + arguments[0] * (b[d] - v))", share)  # fmt: skip
        assert page.run("return [...state.z]") == pytest.approx(wanted, abs=1e-5)


def test_what_is_drawn_is_what_the_model_sees(page):
    page.run("document.getElementById('clear').click(); document.getElementById('pad').scrollIntoView()")
    assert page.run("return Math.max(...pad.x)") == 0
    box = page.run("const b = document.getElementById('pad').getBoundingClientRect(); return [b.left, b.top, b.width]")
    for i, kind in enumerate(("mousePressed", "mouseMoved", "mouseReleased")):
        where = {"x": box[0] + box[2] * (0.5 + 0.1 * i), "y": box[1] + box[2] / 2}
        page.devtools("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, clickCount=1, **where)
    drawn = page.run("return [...pad.x]")
    assert drawn[14 * 28 + 16] == pytest.approx(1) and drawn[14 * 28 + 2] == 0
    assert page.run(BLACK, "seen")[::4] == pytest.approx([255 * v for v in drawn], abs=0.51)
    page.run("document.getElementById('use').click()")
    assert page.run("return [...state.z]") == page.run("return [...encode(pad.x)]")


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_overflows_the_screen(browser, explored, width):
    opened(browser, explored.folder / "explore.html", width)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    nameless = browser.run(
        "return [...document.querySelectorAll('button, input, select, canvas')].filter(e => e.checkVisibility()"
        "&& !e.textContent.trim() && !e.ariaLabel && !e.labels?.length && e.ariaHidden !== 'true').map(e => e.id)"
    )
    assert nameless == []


# --- several models


def members(folder):
    return sorted(path.parent for path in folder.glob("*/config.yaml"))


def told(folder):
    page = (folder / "explore.html").read_text(encoding="utf-8")
    return page, json.loads(re.search(r'id="values">(.*?)</script>', page)[1])


def test_two_checkpoints_of_a_run_are_told_apart(trained, tmp_path):
    first, second = (trained / "checkpoints" / name for name in ("last.pt", "best.pt"))
    found = package.explore(first, f"run2={second}", "n=50", out=tmp_path / "o")
    assert [model["name"] for model in told(found.folder)[1]["models"]] == ["last.pt", "best.pt"]


def test_a_second_run_stands_beside_the_first(browser, trained, swept, tmp_path):
    second = members(swept)[1]  # its folder's name holds = and ,
    found = package.explore(trained, f"run2={second}", "n=50", out=tmp_path / "o")
    assert found.metrics["models"] == 2
    page, values = told(found.folder)
    assert len({model["name"] for model in values["models"]}) == 2 and second.name[:40] in page
    opened(browser, found.folder / "explore.html")
    for i, run in enumerate((trained, second)):
        model = package.load(run)
        x = torch.tensor(browser.run("return [...image(7)]")).view(1, 1, 28, 28)
        with torch.no_grad():
            z = model.encode(x)
            wanted = [z.flatten().tolist(), model.decode(z).flatten().tolist()]
        code = browser.run("return [...encode(image(7), 0, models[arguments[0]])]", i)
        assert code == pytest.approx(wanted[0], abs=1e-2)
        picture = browser.run(
            "return [...decode(encode(image(7), 0, models[arguments[0]]), 0, models[arguments[0]])]", i
        )
        assert picture == pytest.approx(wanted[1], abs=4e-3)
    assert browser.log("browser") == []


def test_a_sweep_is_one_page(swept, tmp_path):
    found = package.explore(swept, "n=30", out=tmp_path / "o")
    assert [model["name"] for model in told(found.folder)[1]["models"]] == ["beta 1", "beta 4"]
    assert {k: found.metrics[k] for k in ("models", "left_out")} == {"models": 2, "left_out": 0}


def test_what_a_page_has_no_room_for_is_named(swept, tmp_path, caplog):
    with caplog.at_level("INFO"):
        found = package.explore(swept, "n=30", "size=0.75", out=tmp_path / "o")
    page, values = told(found.folder)
    assert len(values["models"]) == 1 and "Not in this page: beta 4" in page
    assert "left out for size=0.75, 1 of 2 runs: beta 4; size=1 has room for all" in caplog.text


def test_a_damaged_run_of_a_sweep_is_left_out_and_named(swept, tmp_path, caplog):
    sweep = shutil.copytree(swept, tmp_path / "sweep")
    for path in (members(sweep)[0] / "checkpoints").iterdir():
        path.write_bytes(b"cos\nsystem\n(S'touch victim'\ntR.")
    with caplog.at_level("INFO"):
        found = package.explore(sweep, "n=30")
    assert found.folder == sweep / "explore_1"
    assert "left out: beta 1: " in caplog.text and "damaged" in caplog.text
    assert found.metrics["left_out"] == 1 and "Not in this page: beta 1" in told(found.folder)[0]


def test_a_run_of_a_sweep_whose_weights_are_not_finite_is_left_out(swept, tmp_path):
    sweep = shutil.copytree(swept, tmp_path / "sweep")
    for path in (members(sweep)[0] / "checkpoints").iterdir():
        content = torch.load(path, weights_only=True)
        content["model"]["decoder.layers.0.bias"][0] = torch.nan
        torch.save(content, path)
    page, values = told(package.explore(sweep, "n=30").folder)
    assert [model["name"] for model in values["models"]] == ["beta 4"] and "Not in this page: beta 1" in page


@pytest.fixture(scope="module")
def small_images(tmp_path_factory):
    words = ["data=digits", "trainer.max_steps=1", "net.hidden=[4]", "trainer.batch_size=50", "device=cpu"]
    return package.train(package.config(*words), tmp_path_factory.mktemp("digits") / "run").folder


@pytest.mark.parametrize(
    ("second", "told"),
    [("digits", r"run2=.*: its images and the first run's have different shapes, 1x28x28 and 1x8x8"),
     ("nowhere", "run2=.*nowhere: there is no such file or folder"),
     ("sweep", "run2=.*: no run is there")],
)  # fmt: skip
def test_a_second_run_that_does_not_fit_is_refused_in_a_line(trained, swept, small_images, tmp_path, second, told):
    path = {"digits": small_images, "nowhere": tmp_path / "nowhere", "sweep": swept}[second]
    with pytest.raises(UserError, match=told) as caught:
        package.explore(trained, f"run2={path}", out=tmp_path / "o")
    assert "\n" not in str(caught.value) and not (tmp_path / "o").exists()


# --- other people's words and files


def test_hostile_names_are_text(browser, tmp_path):
    model = lively("model=sparse", "model.latent_dim=6", image_shape=(3, 8, 8))
    images = pixels(5, (3, 8, 8))
    told = {"names": [EVIL] * 5, "classes": (EVIL,), "split": EVIL, "config": {EVIL: EVIL}, "about": [EVIL]}
    opened(browser, written(tmp_path / "explore.html", model, images=images, **told))
    assert browser.run("return document.title") == "a model"
    assert browser.run("return document.images.length") == 0
    assert browser.run("return document.scripts.length") == 3
    assert EVIL[:40] in text(browser, "original-caption") and EVIL[:40] in text(browser, "config")
    assert browser.log("browser") == [] and [u for u in browser.requested() if u.startswith("http")] == []


def test_data_cannot_end_their_element():
    assert data("x", {EVIL: [EVIL]}).count("<") == 2
    with pytest.raises(ValueError, match="JSON"):
        data("x", float("nan"))


def test_a_damaged_checkpoint_writes_nothing(aetrain, trained):
    path = trained / "checkpoints" / "best.pt"
    kept = path.read_bytes()
    try:
        path.write_bytes(b"cos\nsystem\n(S'touch victim'\ntR.")
        code, out, err = aetrain("explore", f"run={trained}")
    finally:
        path.write_bytes(kept)
    assert (code, out) == (2, "") and "damaged or not a checkpoint" in err
    assert not list(trained.glob("explore*")) and not (aetrain.folder / "victim").exists()


# --- models and images of other kinds


@pytest.mark.parametrize(
    ("words", "shown"),
    [(["model=dae", "net=conv", "net.channels=[4]", "model.latent_dim=3"], "removal"),
     (["model=sparse", "model.latent_dim=20"], "units"),
     (["model=vae", "net=mlp", "net.hidden=[16]", "model.latent_dim=2"], "behind")],
)  # fmt: skip
def test_what_belongs_to_one_kind_of_model_is_shown_for_it(browser, tmp_path, words, shown):
    opened(
        browser, written(tmp_path / "explore.html", lively(*words, image_shape=(1, 8, 8)), images=pixels(30, (1, 8, 8)))
    )
    found = browser.run("return ['removal', 'units', 'behind'].filter(id => !document.getElementById(id).hidden)")
    assert found == [shown] and browser.log("browser") == []


@pytest.mark.parametrize("kind", ["masking", "independent_masking", "occlusion", "salt_and_pepper", "gaussian"])
def test_the_pages_noise_is_of_the_models_kind(page, kind):
    x = "new Float32Array(model.pixels).fill(0.5)"
    drawn = page.run(f"return [...corrupted({x}, arguments[0], 0.25, 1)]", kind)
    changed = torch.tensor(drawn) != 0.5
    if kind == "gaussian":
        assert torch.tensor(drawn).std() == pytest.approx(0.25, rel=0.1)
    else:
        exact = kind in ("masking", "occlusion")
        assert changed.float().mean() == pytest.approx(0.25, abs=0 if exact else 0.05)
        assert set(drawn) - {0.5} == ({0, 1} if kind == "salt_and_pepper" else {0})
    assert page.run(f"return [...corrupted({x}, arguments[0], 0, 1)]", kind) == [0.5] * 784


def test_a_small_page_has_fewer_images(trained, tmp_path):
    found = package.explore(trained, "size=0.4", out=tmp_path / "o").metrics
    assert 20 <= found["images"] < 300 and found["megabytes"] < 0.5


def test_a_folder_of_colour_images_with_names(browser, tmp_path):
    from PIL import Image

    for i, image in enumerate(pixels(60, (3, 16, 16))):
        folder = tmp_path / "photos" / ("<b>red" if i % 2 else "blue")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{i}'&<i>.png")
    words = [w for w in TINY if not w.startswith(("data.", "trainer.batch"))]
    config = package.config(*words, "data=folder", f"data.path={tmp_path / 'photos'}", "data.size=16",
                            "trainer.batch_size=10", "model=vae", "data.test_size=20", "data.val_size=0")  # fmt: skip
    run = package.train(config, tmp_path / "run").folder
    opened(browser, package.explore(run, out=tmp_path / "o").folder / "explore.html")
    assert "'&<i>.png" in text(browser, "original-caption")
    assert sorted(browser.run("return [...document.querySelectorAll('#legend button')].map(b => b.textContent)")) == [
        "<b>red", "blue",
    ]  # fmt: skip
    assert str(tmp_path) not in (tmp_path / "o" / "explore.html").read_text(encoding="utf-8")
    assert browser.log("browser") == []


def test_networks_that_the_page_does_not_know_are_refused_before_anything_is_loaded():
    from aetrain.config.schema.task.explore import Explore

    task = Explore(name="explore", run2=None, split=None, batch_size=None, n=1, size=1.0)
    config = package.config("model=ae")
    config.net.name = "of_a_package"
    with pytest.raises(UserError, match="not net=of_a_package"):
        task.check(config)


def test_no_path_of_this_machine_is_in_the_page():
    config = dataclasses.replace(compose("data.root=/secret"), init="/secret/run")
    told = explore._config(SimpleNamespace(config=config))
    assert "model.latent_dim" in told and "/secret" not in str(told)
