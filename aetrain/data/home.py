"""Where aetrain keeps what it can make again."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from aetrain.errors import UserError


def default_root() -> Path:
    """aetrain's folder in the user's cache."""
    try:
        root = Path(platformdirs.user_cache_dir("aetrain", appauthor=False))
    except RuntimeError:  # no HOME and no entry for the user
        root = Path("~")
    if not root.is_absolute():  # the same, of an older platformdirs
        raise UserError("the user has no home folder to keep data in; give data.root=… or set HOME or XDG_CACHE_HOME")
    return root
