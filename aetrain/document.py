"""An HTML page in one file: it makes no request and runs one script, known by its hash.

Whatever comes from a run's files or a data set reaches it through `text` or `data`. Imports no torch."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

LOOK = Path(__file__).with_suffix(".css")
ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M2 3c2 8 5 10 12 "
    "10' fill='none' stroke='%231b5e9e' stroke-width='2'/%3E%3Ccircle cx='5' cy='10' r='2' fill='%23c8553d'/%3E"
    "%3C/svg%3E"
)


def printable(text: str) -> str:
    """Text that every encoding and font can take: U+FFFD in place of surrogates, control characters and those that
    turn the direction of writing."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def text(value: object) -> str:
    """As HTML's text, or as an attribute's value in double quotes."""
    return escape(printable(str(value)), quote=True)


def data(name: str, tree: Any) -> str:
    """An element that holds JSON for the script, whose content cannot end it. Raises ValueError for NaN."""
    content = json.dumps(tree, allow_nan=False, separators=(",", ":"))  # ASCII, so that no separator of lines is left
    for sign in "<>&":
        content = content.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{name}">{content}</script>'


def document(title: str, body: Sequence[str], css: str, script: str) -> str:
    """The whole file. title: text; body: parts of HTML; css: beside the look that all pages share."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{text(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f'<link rel="icon" href="{ICON}">',
            f"<title>{text(title)}</title>",
            f"<style>\n{LOOK.read_text(encoding='utf-8')}{css}</style>\n</head>\n<body>\n<main>",
            *filter(None, body),
            f"</main>\n<script>{script}</script>\n</body>\n</html>\n",
        ]
    )
