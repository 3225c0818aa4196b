"""README.md and docs/: their tables, links and command lines. Imports no torch."""

from __future__ import annotations

import json
import re
import shlex
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

import aetrain
from aetrain.config.tables import TASKS
from benchmarks import results, tables

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(path: Path) -> Iterator[tuple[str, str]]:
    """(language, content) of a page's fenced blocks."""
    yield from FENCE.findall(path.read_text(encoding="utf-8"))


def commands() -> Iterator[tuple[str, list[str]]]:
    """(page, words after `aetrain`) of every command line in a fenced block."""
    for path in PAGES:
        for language, content in blocks(path):
            if language in ("", "sh", "console"):
                for line in content.replace("\\\n", " ").splitlines():
                    if re.match(r"(\$ )?aetrain( |$)", line):
                        words = shlex.split(line.removeprefix("$ "), comments=True)
                        yield str(path.relative_to(ROOT)), words[1:]


def readme_python() -> tuple[str, str]:
    """The README's Python, to be run as it stands: in plain torch, on a run's folder; and in a notebook."""
    plain, notebook = [content for language, content in blocks(ROOT / "README.md") if language == "python"]
    return plain, notebook


def test_the_tables_agree_with_the_results(capsys):
    assert tables.main(["--check"]) == 0, capsys.readouterr().out


def test_every_table_is_shown_once():
    shown = [name for path in PAGES for _, name, _ in tables.MARKED.findall(path.read_text(encoding="utf-8"))]
    assert sorted(shown) == sorted(tables.TABLES)


def test_a_table_that_differs_is_found(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table: sweeps -->\n| stale |\n<!-- end -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(tables, "DOCS", tmp_path)
    assert tables.main(["--check"]) == 1
    assert tables.main([]) == 0 and tables.main(["--check"]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "stale" not in text


@pytest.mark.parametrize("path", sorted(results.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_results_say_where_they_are_from(path):
    content = results.read(path)
    assert content["about"]
    named = {row["environment"] for row in content["rows"]} - {None}
    assert named == set(content["environments"])
    for environment in content["environments"].values():
        assert environment.keys() >= {"date", "commit", "device", "versions", "command"}
    assert path.read_text(encoding="utf-8") == results.dumps(content)


def test_means_and_verdicts_are_those_of_the_seeds():
    for row in results.read(results.FOLDER / "reproduction.json")["rows"]:
        if row["values"]:
            assert len(row["values"]) == len(row["seeds"])
            assert row["mean"] == pytest.approx(statistics.mean(row["values"]), abs=5e-3, rel=0.03)
        if row["values"] and row["std"]:
            assert row["std"] == pytest.approx(statistics.stdev(row["values"]), rel=0.2)
        if row["mean"] is not None and (row["low"], row["high"]) != (None, None):
            inside = (row["low"] is None or row["low"] <= row["mean"]) and (
                row["high"] is None or row["mean"] <= row["high"]
            )
            assert row["verdict"] == ("reproduced" if inside else "missed"), row


def test_a_measurement_replaces_its_rows_and_no_others(tmp_path):
    path = tmp_path / "results.json"
    here = {"date": "2026-01-01", "commit": "aaaaaaa"}
    results.update(path, here, [{"name": "a", "value": 1}, {"name": "b", "value": 2}], same=("name",))
    later = {"date": "2026-01-02", "commit": "bbbbbbb"}
    results.update(path, later, [{"name": "b", "value": 3}, {"name": "c", "value": 4}], same=("name",))
    content = json.loads(path.read_text())
    assert [(row["name"], row["value"], row["environment"][-7:]) for row in content["rows"]] == [
        ("a", 1, "aaaaaaa"), ("b", 3, "bbbbbbb"), ("c", 4, "bbbbbbb"),
    ]  # fmt: skip
    results.update(path, later, [{"name": "a", "value": 5}], same=("name",))
    assert set(json.loads(path.read_text())["environments"]) == {"2026-01-02 bbbbbbb"}
    results.update(path, later | {"device": "another"}, [{"name": "a", "value": 6}], same=("name",))
    assert set(json.loads(path.read_text())["environments"]) == {"2026-01-02 bbbbbbb", "2026-01-02 bbbbbbb (2)"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_relative_link_resolves(path):
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, heading = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.is_relative_to(ROOT) and found.exists(), f"{path.name}: {target}"
        if heading:
            assert heading in anchors(found), f"{path.name}: {target}"


def anchors(path: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "words"), commands(), ids=lambda value: value if isinstance(value, str) else None)
def test_every_command_line_has_the_form_of_one(page, words):
    for i, word in enumerate(words):
        is_flag = word in ("-m", "--multirun", "--help", "--version", "--cfg", "--config-dir")
        is_value = i > 0 and words[i - 1] in ("--cfg", "--config-dir")
        is_verb = i == 0 and word in (*TASKS, "runs", "cache")
        assert is_flag or is_value or is_verb or re.fullmatch(r"[a-z_]+2?([./][a-z_]+)*=\S+", word), (page, word)


def test_every_command_from_the_text_is_accepted():
    for page, words in commands():
        if page.endswith("from-the-text.md") and words[0] not in TASKS:
            single = [re.sub(r",[^=\]]*$", "", word) for word in words if word != "-m"]
            assert aetrain.config(*single)


def test_there_are_command_lines():
    assert len(list(commands())) > 20


def test_the_readmes_python_compiles():
    for program in readme_python():
        compile(program, "README.md", "exec")


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150
