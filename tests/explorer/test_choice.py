"""Several models in one page, and models that are given a class."""

import pytest
import torch

from tests.explorer.pages import lively, opened, pixels, written

SHAPE = (1, 8, 8)
SET = "const e = document.getElementById(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('change'))"
DRAWN = """
const c = document.getElementById(arguments[0]), all = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
return [...all].filter((_, i) => i % 4 === 0)
"""


def shows(browser, canvas: str, code: str) -> bool:
    """Whether a canvas has the picture that the script's own expression computes."""
    wanted = browser.run(f"return [...Uint8ClampedArray.from({code}, v => 255 * v)]")
    return browser.run(DRAWN, canvas) == wanted


def errors(browser) -> list[dict]:
    """Of the console; that canvases are often read is the tests' own doing."""
    return [entry for entry in browser.log("browser") if entry["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Of a VAE with three numbers and a sparse model with six, with other networks."""
    models = (lively("model=vae", "net=mlp", "net.hidden=[16]", "model.latent_dim=3", image_shape=SHAPE),
              lively("model=sparse", "model.latent_dim=6", image_shape=SHAPE))  # fmt: skip
    return written(tmp_path_factory.mktemp("pair") / "explore.html", *models, images=pixels(40, SHAPE))


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    model = lively("model=cvae", "net=mlp", "net.hidden=[16]", "model.latent_dim=2", image_shape=SHAPE)
    path = tmp_path_factory.mktemp("conditional") / "explore.html"
    return written(path, model, images=pixels(40, SHAPE), labels=torch.arange(40) % 10, classes=tuple("abcdefghij"))


def test_both_are_given_the_same_image_and_the_same_place_of_a_slider(browser, pair):
    opened(browser, pair)
    browser.run("showImage(3)")
    assert shows(browser, "decoded", "decode(encode(image(3), 0, models[0]), 0, models[0])")
    assert shows(browser, "other-decoded", "decode(encode(image(3), 0, models[1]), 0, models[1])")
    browser.run("const s = sliders[1].input; s.value = 1.5; s.dispatchEvent(new Event('input'))")
    found = browser.run("""
      const [a, b] = models, before = encode(image(3), 0, b), after = codeOf(b), d = b.order[1];
      const [low, high] = range(d, b);
      return [state.z[a.order[1]], (after[d] - low) / (high - low), [...after].filter((v, i) => v !== before[i]).length]
    """)
    assert found == pytest.approx([1.5, 0.75, 1])
    assert shows(browser, "other-decoded", "decode(codeOf(models[1]), 0, models[1])")
    assert errors(browser) == []


def test_another_model_is_chosen_and_the_code_stays_that_of_the_image(browser, pair):
    opened(browser, pair)
    browser.run("showImage(5)")
    browser.run("document.getElementById('swap').click()")
    assert browser.run("return [models.indexOf(model), models.indexOf(other), sliders.length]") == [1, 0, 6]
    assert shows(browser, "decoded", "decode(encode(image(5), 0, models[1]), 0, models[1])")
    assert browser.run("return document.getElementById('units').hidden") is False
    browser.run(SET, "beside", "")
    assert browser.run("return [...document.querySelectorAll('#other-figure, #again-other-figure')].map(f => f.hidden)"
                       ) == [True, True]  # fmt: skip
    browser.run(SET, "model", "0")
    assert browser.run("return [sliders.length, document.getElementById('units').hidden]") == [3, True]
    assert shows(browser, "decoded", "decode(encode(image(5)))")
    assert errors(browser) == []


def test_a_code_that_is_of_no_image_is_each_models_own(browser, pair):
    """The VAE's prior has mean 0, the sparse model's codes their own mean; a draw stays within their range."""
    opened(browser, pair)
    click = "document.getElementById(arguments[0]).click(); return models.map(m => [...codeOf(m)])"
    first, second = browser.run(click, "center")
    assert first == [0, 0, 0] and second == pytest.approx(browser.run("return models[1].mean"), rel=1e-5)
    drawn = [browser.run(click, "draw")[1] for _ in range(3)]
    low, high = zip(*browser.run("return models[1].mean.map((_, d) => range(d, models[1]))"), strict=True)
    assert all(a - 1e-5 <= v <= b + 1e-5 for z in drawn for a, v, b in zip(low, z, high, strict=True))
    assert drawn[0] != drawn[1] != drawn[2]
    # A place on the map is carried over by rank and share of the range.
    found = browser.run("show(carried(Float32Array.of(0, 0, 0)), 'a place');"
                        "const m = models[1], z = codeOf(m);"
                        "return m.order.map(d => [z[d], ...range(d, m), m.mean[d]])")  # fmt: skip
    assert [z for z, low, high, _ in found[:3]] == pytest.approx([(low + high) / 2 for _, low, high, _ in found[:3]])
    assert [z for z, *_ in found[3:]] == pytest.approx([mean for *_, mean in found[3:]], rel=1e-5)


def test_a_line_is_each_models_own(browser, pair):
    opened(browser, pair)
    browser.run("showImage(2); aimAt(7); stop(); walkLine(0.25)")
    for i in (0, 1):
        wanted = browser.run("const [a, b] = [2, 7].map(k => [...encode(image(k), 0, models[arguments[0]])]);"
                             "return a.map((v, d) => v + 0.25 * (b[d] - v))", i)  # fmt: skip
        assert browser.run("return [...codeOf(models[arguments[0]])]", i) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("width", [390, 1280])
def test_two_models_fit_the_screen_and_what_differs_is_marked(browser, tmp_path, pair, width):
    opened(browser, pair, width)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    heads = browser.run("return [...document.querySelectorAll('#terms th.n')].map(c => c.textContent)")
    assert heads == ["model 0", "model 1"]
    assert browser.run("return document.querySelectorAll('.line.beside').length") == 6  # of its six dimensions
    nameless = browser.run(
        "return [...document.querySelectorAll('button, input, select, canvas')].filter(e => e.checkVisibility()"
        "&& !e.textContent.trim() && !e.ariaLabel && !e.labels?.length && e.ariaHidden !== 'true').map(e => e.id)"
    )
    assert nameless == []


def test_the_chosen_class_is_given_to_encoder_and_decoder(browser, conditional):
    opened(browser, conditional)
    options = browser.run("return [...document.getElementById('class').options].map(o => o.textContent)")
    assert options == list("abcdefghij")
    browser.run("showImage(13)")
    assert browser.run("return Number(document.getElementById('class').value)") == 3
    assert shows(browser, "decoded", "decode(encode(image(13), 3), 3)")
    browser.run(SET, "class", "7")  # the same code, as another class
    assert shows(browser, "decoded", "decode(encode(image(13), 3), 7)")
    assert shows(browser, "again", "decode(encode(pad.x, 7), 7)")
    assert browser.run("const [a, b] = [3, 7].map(c => decode(encode(image(13), 3), c));"
                       "return Math.max(...a.map((v, i) => Math.abs(v - b[i])))") > 0.01  # fmt: skip
    browser.run("document.getElementById('use').click()")
    assert browser.run("return [...state.z]") == browser.run("return [...encode(pad.x, 7)]")
    assert errors(browser) == []


def test_what_lies_behind_the_map_is_decoded_as_the_chosen_class(browser, conditional):
    opened(browser, conditional)
    cell = """
      const [[left, right], [bottom, top]] = map.view, at = i => (i + 0.5) / CELLS;
      const z = Float32Array.of(left + at(2) * (right - left), top - at(3) * (top - bottom));
      const got = map.plane.getContext('2d').getImageData(2 * 8, 3 * 8, 8, 8).data;
      return decode(z, arguments[0]).every((v, i) => Math.abs(255 * v - got[4 * i]) < 1)
    """
    for label in (0, 4):
        browser.run(SET, "class", str(label))
        browser.run("bitByBit('plane', [].values()); drawPlane()")
        for _ in range(200):
            if browser.run("return !running.has('plane')"):
                break
        assert browser.run(cell, label)


def test_the_map_is_drawn_anew_in_the_dark(browser, conditional):
    ring = "const [x, y] = onScreen(spot(state.z), document.getElementById('map').getBoundingClientRect());" \
           "return [...document.getElementById('map').getContext('2d').getImageData(x + 8, y, 1, 1).data]"  # fmt: skip
    opened(browser, conditional)
    light = browser.run(ring)
    browser.dark(True)
    try:
        for _ in range(100):
            if browser.run(ring) != light:
                break
        assert sum(browser.run(ring)[:3]) > 450 > sum(light[:3])
    finally:
        browser.dark(False)
