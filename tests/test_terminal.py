"""What a terminal shows: the bar, the lines of epochs, the table of a sweep."""

from __future__ import annotations

import logging
import os
import pty
import re
import subprocess
import time
from pathlib import Path

import pytest

from aetrain import listing
from aetrain.config.tree import in_short
from aetrain.console import ConsoleHandler, MembersBar, ProgressBar, columns, fitting, told, without_repeats
from aetrain.data import cache
from aetrain.epochs import EpochTable
from aetrain.listing import below
from aetrain.sweeps.launch.ways import label
from aetrain.sweeps.report import summary
from tests.conftest import PYTHON, compose
from tests.sweeps.report.synthetic import beta_sweep

VALUES = {"train/loss": 742.784, "val/loss": 574.17, "val/recon": 561.2, "val/kl": 12.97, "val/nelbo": 574.17,
          "val/active_units": 19.0, "val/aggregate_kl": 0.00001234}  # fmt: skip


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_epoch_lines_are_columns_under_a_header_and_never_wrap(width):
    table = EpochTable(100, width)
    lines = table.line(1, VALUES).split("\n")
    for epoch in (2, 100):
        lines += table.line(epoch, {tag: -value / 7e9 for tag, value in VALUES.items()}).split("\n")
    assert len(lines) == 4 and {len(line) for line in lines} == {len(lines[0])} and len(lines[0]) <= width
    ends = [match.end() for match in re.finditer(r"\S+", lines[0])]
    for line in lines[1:]:
        assert [match.end() for match in re.finditer(r"\S+", line)][2:] == ends
    assert "train/loss" in lines[0] and "nelbo" not in lines[0]  # nelbo is the loss


def test_a_term_that_is_the_loss_is_not_shown_twice():
    assert list(without_repeats({"loss": 2.0, "recon": 2.0, "kl": 0.5})) == ["loss", "kl"]
    assert list(without_repeats({"val/loss": 2.0, "train/loss": 3.0, "val/recon": 3.0})) == [
        "val/loss", "train/loss", "val/recon",
    ]  # fmt: skip


def test_what_has_no_room_is_left_out_and_the_loss_never():
    assert fitting(["loss 106.21", "kl 25.1", "12,345 img/s"], 30) == "loss 106.21  kl 25.1"
    assert fitting(["loss 106.21", "kl 25.1"], 3) == "loss 106.21"


PROGRAM = """
import time
from aetrain.console import ProgressBar
with ProgressBar(3900, 0, 10) as bar:
    for step in (1, 2000, 3899):
        bar.terms({"loss": 106.21, "recon": 80.1, "kl": 26.1, "nelbo": 106.21}, 23456.0)
        bar.advance(step, 1 + step // 390)
        time.sleep(0.12)
"""


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_bar_keeps_epoch_bar_percent_time_and_loss(width):
    main, other = pty.openpty()
    os.set_blocking(main, False)
    environment = os.environ | {"COLUMNS": str(width), "TERM": "xterm-256color", "PYTHONPATH": os.environ["PYTHONPATH"]}
    process = subprocess.Popen([PYTHON, "-c", PROGRAM], stdout=other, stderr=other, env=environment)
    process.wait(30)
    time.sleep(0.05)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", os.read(main, 1 << 20).decode())
    frames = [frame.strip("\n") for frame in shown.split("\r") if "loss" in frame]
    assert frames and all(len(line) <= width - len("^C") - 1 for frame in frames for line in frame.split("\n"))
    assert any(
        re.fullmatch(r"epoch 6/10 [━╸╺ ]{8,} +51% +(\d+:)?[-\d]+:[-\d]+ +loss 106\.21( .*)?", frame.rstrip())
        for frame in frames
    ), frames
    assert ("recon 80.1" in shown) == (width >= 80) and ("img/s" in shown) == (width >= 120) and "nelbo" not in shown


def test_a_sweeps_bar_hears_how_far_its_runs_are():
    heard = []
    with told(heard.append), ProgressBar(100, 0, 1) as bar:
        bar.advance(50, 1)
    assert heard == [0.5]
    with MembersBar(2) as bar, bar.part(["0"]):
        assert not bar.is_shown  # no terminal: lines are not held back


def test_a_sweep_ends_with_a_table(tmp_path):
    beta_sweep(tmp_path, {1: (25.1, 80.2), 4: (12.3, 101.0), 1000: (0.0, 201.5)}, {0: 0.0, 1: 0.5})
    head, *rows = summary.table(tmp_path).split("\n")
    assert head.split()[:5] == ["model.beta", "seeds", "test/nelbo", "test/recon", "test/kl"]
    assert len(rows) > 2 and all("±" in row and len(row) == len(head) for row in rows)


def test_the_table_says_how_runs_ended_where_not_all_are_done(tmp_path):
    beta_sweep(tmp_path, {1: (25.1, 80.2), 4: (12.3, 101.0)}, {0: 0.0, 1: 0.5})
    result = next(tmp_path.glob("*/result.json"))
    result.write_text(result.read_text().replace('"done"', '"failed"'))
    head, first, second = summary.table(tmp_path).split("\n")
    assert head.split()[:3] == ["model.beta", "status", "seeds"]
    assert sorted(" done, 1 failed" in row or "1 failed, 1 done" in row for row in (first, second)) == [False, True]


def test_the_configuration_in_short():
    text = in_short(compose("model=beta_vae", "model.schedule.beta.kind=linear", "trainer.epochs=7"), 80)
    assert "model=beta_vae" in text and "beta=4.0" in text and "schedule.beta.kind=linear" in text
    assert "epochs=7" in text and "gamma" not in text and max(map(len, text.split("\n"))) <= 80


def test_the_list_of_runs_puts_a_folder_without_room_on_a_line_of_its_own(tmp_path):
    beta_sweep(tmp_path, {1: (25.1, 80.2), 4: (12.3, 101.0)}, {0: 0.0})
    runs = sorted(below(tmp_path), key=lambda run: run.number)
    wide = listing.table(runs, 10_000).split("\n")
    assert len(wide) == len(runs) and all(line.endswith(str(run.folder)) for line, run in zip(wide, runs, strict=True))
    narrow = listing.table(runs, len(str(runs[0].folder)) + 20).split("\n")
    assert narrow[1::2] == [f"  {run.folder}" for run in runs]
    assert all("model=" in line for line in narrow[::2]) and max(map(len, narrow[::2])) <= len(str(runs[0].folder)) + 20


def test_the_list_of_runs_names_what_was_swept_also_where_it_is_the_default(tmp_path):
    beta_sweep(tmp_path, {4: (12.3, 101.0), 1: (25.1, 80.2)}, {0: 0.0, 1: 0.1})
    lines = listing.table(sorted(below(tmp_path), key=lambda run: run.number), 10_000).split("\n")
    told = [re.findall(r"(?:model\.beta|seed)=\S+", line.partition("  /")[0]) for line in lines]
    assert told == [[f"model.beta={beta}", f"seed={seed}"] for beta in (4, 1) for seed in (0, 1)]


OBEYED = "\x1b]0;a title\x07\x1b[2J\nforged: done\x9b1m"


def test_nothing_that_a_terminal_would_obey_comes_from_someone_elses_names(aetrain, monkeypatch):
    beta_sweep(aetrain.folder / "outputs" / f"a{OBEYED}", {1: (25.1, 80.2), 4: (12.3, 101.0)}, {0: 0.0})
    monkeypatch.setattr(cache, "show", lambda: [cache.Held(Path("x"), f"/photos{OBEYED}", 1, 1, 0.0)])
    for word, lines in (("runs", 2), ("cache", 2)):
        code, out, err = aetrain(word)
        assert (code, err, out.count("\n")) == (0, "", lines) and r"\nforged" in out
        assert out.replace("\n", "").isprintable()
    assert label(3, [f"model.beta={OBEYED}"], ["model.beta"]).isprintable()
    assert columns(["a"], [[OBEYED]]).count("\n") == 1


def test_the_list_of_runs_of_a_user_that_there_is_not(aetrain):
    assert aetrain("runs", "~nosuchuser") == (
        2, "", "aetrain: error: ~nosuchuser: there is no such user's home folder\n",
    )  # fmt: skip


def test_a_log_line_keeps_its_own_newlines_only(capsys):
    ConsoleHandler().emit(logging.makeLogRecord({"msg": "two\nlines of \x1b[2Jours"}))
    assert capsys.readouterr().out == "two\nlines of \\x1b[2Jours\n"
