"""The files of scikit-learn's own data sets, found without importing it, which takes over a second."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from aetrain.errors import UserError


def file_of(*parts: str) -> Path:
    """A file in its folder `datasets`. Raises a UserError where it is not installed."""
    spec = find_spec("sklearn")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    path = Path(folders[0], "datasets", *parts) if folders else None
    if path is None or not path.is_file():
        raise UserError(f"scikit-learn, whose {parts[-1]} these data are, is not installed; pip install scikit-learn")
    return path
