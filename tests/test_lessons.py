"""docs/lessons: what the programs show, against closed forms, and the numbers that their page gives."""

import math
import re
import runpy
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "lessons.md").read_text(encoding="utf-8")
PROSE = " ".join(PAGE.split())


@cache
def lesson(name: str) -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(DOCS / "lessons" / f"{name}.py")))


def test_every_program_is_on_the_page():
    programs = {path.stem for path in (DOCS / "lessons").glob("*.py")}
    assert programs == set(re.findall(r"^python docs/lessons/(\w+)\.py$", PAGE, re.MULTILINE))


def test_the_page_shows_every_worked_number_and_marks_those_that_the_text_has_wrong():
    worked, shown = lesson("worked_numbers"), re.findall(r"^\| ([^|]+) \| ([^|]*) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    bare = [tuple(cell.replace("**", "").strip() for cell in row) for row in shown]
    assert [row for row in bare if row[2][-1].isdigit()] == worked.rows()
    wrong = []
    for name, text, exact in worked.rows():
        for said, value in zip(text.split(", "), exact.split(", "), strict=True) if text else ():
            assert float(said) == pytest.approx(float(value), abs=1e-3)
            wrong += [(name, said)] * (said != value)
    marked = [(name.strip(), said) for name, text, _ in shown for said in re.findall(r"\*\*(.+?)\*\*", text)]
    assert marked == wrong


def test_the_gap_of_the_worked_example_is_the_divergence_of_two_gaussians():
    """KL(N(1.5, ¼) ‖ N(1, ½)) = ½ (½ + ½ − 1 + ln 2)."""
    found = lesson("worked_numbers").vae_without_a_draw()
    assert found["gap"] == pytest.approx(0.5 * math.log(2), rel=1e-12)


def test_the_sparsity_penalty_is_least_at_rho_and_steepest_at_the_edges():
    penalty = lesson("sparsity_penalty")
    rho_hat, kl = penalty.curve()
    assert float(rho_hat[kl.argmin()]) == penalty.RHO and float(kl.min()) == pytest.approx(0, abs=1e-15)
    assert float(kl[99]) == pytest.approx(0.2 * math.log(2) + 0.8 * math.log(8 / 9))
    for at in (0.01, 0.5, 0.99):
        assert penalty.slope(at) == pytest.approx((1 - 0.2) / (1 - at) - 0.2 / at)


def test_forward_kl_matches_moments_and_reverse_kl_a_mode():
    kls = lesson("forward_and_reverse_kl")
    found = {title: kls.fitted(*how) for title, how in kls.FITS.items()}
    forward, left, right = found.values()
    mean = 0.6 * -2 + 0.4 * 2
    std = math.sqrt(0.6**2 + 0.6 * (-2 - mean) ** 2 + 0.4 * (2 - mean) ** 2)
    assert (forward["mean"], forward["std"]) == pytest.approx((mean, std), rel=1e-5)
    # Were the modes infinitely far apart, q would be a mode, and the KL −log of its weight.
    assert (left["mean"], left["std"], left["kl"]) == pytest.approx((-2, 0.6, -math.log(0.6)), rel=0.01)
    assert (right["mean"], right["std"], right["kl"]) == pytest.approx((2, 0.6, -math.log(0.4)), rel=0.02)
    assert kls.missed(forward) < 1e-3 and kls.missed(left) == pytest.approx(0.4, abs=0.01)
    for title, q in found.items():
        assert f"| {title} | {q['mean']:.3f} | {q['std']:.3f} | {q['kl']:.3f} | {kls.missed(q):.1%} |" in PAGE


def test_mean_field_is_too_narrow_by_the_correlation():
    field = lesson("mean_field")
    (narrow, reverse), (marginal, forward) = field.fits().values()
    assert narrow.diagonal().tolist() == pytest.approx([1 - 0.9**2] * 2)
    assert reverse == pytest.approx(-0.5 * math.log(1 - 0.9**2)) and forward == pytest.approx(reverse)
    for scale in (0.99, 1.01):
        assert field.kl(narrow * scale, field.COVARIANCE, torch.zeros(2).double()) > reverse
        assert field.kl(field.COVARIANCE, marginal * scale, torch.zeros(2).double()) > forward
    ascent = field.coordinate_ascent(60)
    assert ascent == sorted(ascent, reverse=True) and ascent[-1] == pytest.approx(reverse, rel=1e-9)


def test_the_bound_and_its_gap_are_the_evidence():
    cat = lesson("lower_bound")
    q = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    assert (cat.elbo(q) + cat.gap(q)).tolist() == pytest.approx([math.log(1 / 30)] * 99)
    assert cat.posterior() == pytest.approx(0.8) and float(q[cat.elbo(q).argmax()]) == pytest.approx(0.8)


def test_one_unit_memorises():
    memory = lesson("memorising")
    train, new = memory.images()
    found = memory.errors(memory.memorising(train), train, new)
    assert found["train"] < 1e-12 and found["new"] > found["mean_image"]
    assert f"{found['new']:.1f}, that of the mean training image {found['mean_image']:.1f}" in PROSE


def test_a_copy_is_perfect_and_mends_nothing():
    found, _ = lesson("copying").results()
    assert found["digits, copied"] == found["noise, copied"] == 0
    assert found["masked digits, mended"] < 0.5 * found["masked digits, copied"]
    assert f"{found['masked digits, copied']:.1f}" in PAGE and f"{found['masked digits, mended']:.1f}" in PAGE
