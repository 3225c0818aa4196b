"""The report as one HTML page that makes no network requests and runs one script, known by its hash.

Whatever comes from a run's files passes through `text`.
"""

from __future__ import annotations

import base64
import os
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote

from aetrain.console import number
from aetrain.document import document, text
from aetrain.sweeps.report.analysis import Stat, Sweep
from aetrain.sweeps.report.axes import Axis
from aetrain.sweeps.report.read import Member
from aetrain.sweeps.report.suggest import Suggestion
from aetrain.sweeps.report.values import MISSING, is_number, show
from aetrain.sweeps.report.words import common, word

if TYPE_CHECKING:  # they import matplotlib and PIL, which a sweep that has nothing to draw yet need not wait for
    from aetrain.sweeps.report.pictures import Gallery, Picture
    from aetrain.sweeps.report.plots import Plot

ASSETS = Path(__file__).parent
MOST_NAMED = 4  # keys in the title
MOST_SEEDS = 12  # that are named
SPLITS = {"test": "test split", "val": "validation split"}

Section: TypeAlias = "tuple[Axis, Sequence[Plot], Sequence[Gallery]]"  # what is shown of a swept key


def page(name: str, sweep: Sweep, sections: Sequence[Section], suggestions: Sequence[Suggestion]) -> str:
    """The whole document. name: of the sweep's folder."""
    what = ("Sweep of", "Sweep") if sweep.is_sweep else ("Runs by", "Runs")
    title = f"{what[0]} {' × '.join(axis.key for axis in sweep.axes[:MOST_NAMED])}" if sweep.axes else what[1]
    title += f" and {len(sweep.axes) - MOST_NAMED} more" if len(sweep.axes) > MOST_NAMED else ""
    body = [
        f"<header><h1>{text(title)}</h1>{_summary(name, sweep)}</header>",
        _failures(sweep.members, sweep.axes),
        *(_section(*section) for section in sections),
        _undrawn(sections, sweep.axes),
        _aggregates(sweep),
        _suggestions(suggestions),
        _members(sweep),
    ]
    css, script = ((ASSETS / file).read_text(encoding="utf-8") for file in ("page.css", "page.js"))
    return document(f"{title} · {name}", body, css, script)


def _summary(name: str, sweep: Sweep) -> str:
    counts = Counter(m.status for m in sweep.members)
    many = len(sweep.members)
    states = ", ".join(f"{n} {status}" for status, n in sorted(counts.items(), key=lambda item: item[0] != "done"))
    seeds = {show(m.seed) for m in sweep.members if m.seed is not MISSING}
    about = [f"{many} run{'s' * (many != 1)}: {states}" if many else "no runs yet"]
    if seeds:
        named = ", ".join(sorted(seeds, key=lambda s: (len(s), s)))
        about.append(f"seed{'s' * (len(seeds) > 1)} {named}" if len(seeds) <= MOST_SEEDS else f"{len(seeds)} seeds")
    lines = [f'<p class="about">{text(name)}</p>', f"<p>{text('; '.join(about))}.</p>", _splits(sweep)]
    if words := [w for key, value in common(sweep.members).items() if (w := word(key, value))]:
        lines.append(f'<p class="common">In common: <code>{text(shlex.join(words))}</code></p>')
    likelihoods = sorted({show(v) for m in sweep.members if (v := m.config.get("model.likelihood"))})
    if len(likelihoods) > 1:
        lines.append(
            f'<p class="note">The runs compare images under different likelihoods ({text(", ".join(likelihoods))}): '
            "their losses and reconstruction terms are not comparable.</p>"
        )
    if sweep.explorer:
        lines.append(f'<p><a class="explorer" href="./{quote(sweep.explorer)}">The models side by side</a>, as '
                     "aetrain explore wrote them.</p>")  # fmt: skip
    if sweep.note:
        lines.append(f'<p class="note">{text(sweep.note)}</p>')
    return "".join(lines)


def _splits(sweep: Sweep) -> str:
    """On which images the numbers were measured; the code's may be the validation split's where the others are the test
    split's, as in runs of the first generation."""
    parts = {split: [tag for tag in sweep.metrics if tag.startswith(f"{split}/")] for split in SPLITS}
    parts = {split: tags for split, tags in parts.items() if tags}
    if not parts:
        return ""
    if len(parts) == 1:
        return f"<p>Final numbers on the {SPLITS[next(iter(parts))]}.</p>"
    other = next(split for split in parts if split != sweep.split)
    names = ", ".join(tag.partition("/")[2] for tag in parts[other])
    return f"<p>Final numbers on the {SPLITS[sweep.split]}; {text(names)} on the {SPLITS[other]}.</p>"


def _failures(members: Iterable[Member], axes: Sequence[Axis]) -> str:
    wrong = [m for m in members if m.status in ("failed", "interrupted", "stopped", "unreadable") or m.reason]
    if not wrong:
        return ""
    rows = "".join(
        f'<li><p>{_link(m)} <code>{text(_place(m, axes))}</code> <span class="status {text(m.status)}">{text(m.status)}'
        f"</span></p><p>{text(m.reason or 'ended without a result; aetrain resume=… continues it')}</p></li>"
        for m in wrong
    )
    return f'<section class="failures"><h2>Not done</h2><ul>{rows}</ul></section>'


def _place(member: Member, axes: Sequence[Axis]) -> str:
    return " ".join(f"{axis.key}={show(member.value(axis.key))}" for axis in axes)


def _suggestions(suggestions: Sequence[Suggestion]) -> str:
    if not suggestions:
        return ""
    items = "".join(
        f'<p><code class="try">{text(s.override)}</code></p><p>{text(s.reason)}</p>'
        + (f'<p class="common"><code>{text(s.command)}</code></p>' if s.command else "")
        for s in suggestions
    )
    return f'<section class="next"><h2>Values to try next</h2>{items}</section>'


def _section(axis: Axis, plots: Sequence[Plot], galleries: Sequence[Gallery]) -> str:
    if not plots and not galleries:
        return ""
    drawn, shown = "".join(map(_plot, plots)), "".join(map(_gallery, galleries))
    return (
        f'<section><h2>{text(axis.key)}</h2><div class="plots">{drawn}</div>'
        f'<div class="galleries">{shown}</div></section>'
    )


def _undrawn(sections: Sequence[Section], axes: Sequence[Axis]) -> str:
    if not sections or len(sections) == len(axes):
        return ""
    return f'<p class="note">Of the {len(axes)} keys in which these runs differ, {len(sections)} are drawn.</p>'


def _plot(plot: Plot) -> str:
    caption = f"<figcaption>{text(plot.caption)}</figcaption>" if plot.caption else ""
    return f'<figure class="plot">{_image(plot.png, plot.alt)}{caption}</figure>'


def _gallery(gallery: Gallery) -> str:
    rows = "".join(_tile(picture, gallery.title) for picture in gallery.pictures)
    kind = "rows" if gallery.wide else "squares"
    return (
        f'<figure class="gallery"><h3>{text(gallery.title)}</h3><div class="{kind}">{rows}</div>'
        f"<figcaption>{text(gallery.caption)}</figcaption></figure>"
    )


def _tile(picture: Picture, title: str) -> str:
    image = _image(picture.png, f"{title}, {picture.label}", f' width="{picture.width}" height="{picture.height}"')
    return f'<div class="tile"><span>{text(picture.label)}</span>{image}</div>'


def _image(png: bytes, alt: str, size: str = "") -> str:
    return f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{text(alt)}"{size}>'


# --- tables


def _aggregates(sweep: Sweep) -> str:
    points = [p for p in sweep.points if p.stats]
    if not sweep.axes or not any(len(p.members) > 1 for p in sweep.points):
        return ""  # a row per run says it all
    head = [axis.key for axis in sweep.axes] + ["n", *sweep.metrics]
    rows = []
    for point in points:
        n = sum(m.status == "done" for m in point.members)
        cells = [
            *(_cell(v, a.is_numeric) for v, a in zip(point.values, sweep.axes, strict=True)),
            _cell(n),
            *(_stat(point.stats.get(tag)) for tag in sweep.metrics),
        ]
        rows.append("".join(cells))
    note = "Mean ± standard deviation (n − 1) over the seeds that are done."
    return _table("means", "Over seeds", note, head, rows, _words(sweep))


def _members(sweep: Sweep) -> str:
    head = ["run", "status", *(axis.key for axis in sweep.axes), "seed", *sweep.metrics, "seconds"]
    rows = []
    for m in sweep.members:
        status = f"{m.status}, step {m.step:,}" if m.status in ("running", "stopped") and m.step else m.status
        cells = [
            f'<td data-v="{m.number if m.number is not None else text(m.name)}">{_link(m)}{_explorer(m)}</td>',
            f"<td><span class='status {text(m.status)}'>{text(status)}</span></td>",
            *(_cell(m.value(axis.key), axis.is_numeric) for axis in sweep.axes),
            _cell(m.seed),
            *(_metric(m, tag) for tag in sweep.metrics),
            _cell(MISSING if m.seconds is None else round(m.seconds, 1)),
        ]
        rows.append("".join(cells))
    return _table("members", "Runs", "", head, rows, {"run", "status"} | _words(sweep)) if rows else ""


def _words(sweep: Sweep) -> set[str]:
    return {axis.key for axis in sweep.axes if not axis.is_numeric}


def _table(name: str, title: str, note: str, head: Sequence[str], rows: Sequence[str], words: set[str]) -> str:
    """rows: of cells. words: the columns that hold no numbers."""
    kinds = ("" if h in words else ' class="n"' for h in head)
    cells = "".join(
        f'<th scope="col"{kind}><button type="button">{text(h)}</button></th>'
        for h, kind in zip(head, kinds, strict=True)
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    note = f"<p>{text(note)}</p>" if note else ""
    return (
        f'<section><h2>{text(title)}</h2>{note}<div class="box" tabindex="0" role="region" aria-label="{text(title)}">'
        f'<table id="{name}"><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div></section>'
    )


def _link(member: Member) -> str:
    # ./ and the quoting keep a folder's name from being read as another address.
    label = str(member.number) if member.number is not None else member.name
    return f'<a href="./{quote(os.fsencode(member.name))}/" title="{text(member.name)}">{text(label)}</a>'


def _explorer(member: Member) -> str:
    if member.explorer is None:
        return ""
    place = f"./{quote(os.fsencode(member.name))}/{quote(member.explorer)}"
    return f' <a class="explorer" href="{place}" title="its explorer page">explore</a>'


def _cell(value: object, in_numbers: bool = True) -> str:
    """in_numbers: whether it stands in a column of numbers, where null and what is missing are on the right, too."""
    kind = ' class="n"' if in_numbers else ""
    key = repr(value) if is_number(value) else "" if value is MISSING else show(value)
    return f'<td{kind} data-v="{text(key)}">{text(show(value))}</td>'


def _metric(member: Member, tag: str) -> str:
    if tag not in member.metrics:
        return '<td class="n" data-v="">–</td>'
    value = member.metrics[tag]
    if value is None:
        return '<td class="n" data-v="">NaN</td>'
    return f'<td class="n" data-v="{value!r}">{text(number(value))}</td>'


def _stat(stat: Stat | None) -> str:
    if stat is None:
        return '<td class="n" data-v="">–</td>'
    spread = "" if stat.std is None else f' <span class="std">± {text(f"{stat.std:.2g}")}</span>'
    return f'<td class="n" data-v="{stat.mean!r}">{text(number(stat.mean))}{spread}</td>'
