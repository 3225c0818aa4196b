"""explore.html: everything in one file. What is in it is data for its script, which writes text, never HTML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aetrain.document import data, document, text

ASSETS = Path(__file__).parent / "assets"
# In this order one file: what a script uses stands before it.
SCRIPTS = ("networks", "model", "state", "canvas", "picture", "sliders", "map", "noise", "score", "draw", "strips",
           "tables", "choice", "main")  # fmt: skip


def page(title: str, about: Sequence[str], values: dict[str, Any], packed: str) -> str:
    """title, about: what stands at the top, as text; values, packed: see contents.py."""
    script = '"use strict";\n' + "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    lines = "".join(f'<p class="about">{text(line)}</p>' for line in about)
    body = [
        f"<header><h1>{text(title)}</h1>{lines}</header>",
        _asset("page.html"),
        data("values", values),
        f'<script type="text/plain" id="packed">{packed}</script>',  # base64
    ]
    return document(title, body, _asset("page.css"), script)


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")
