"""Installed packages that offer models, networks, priors or data sets, by entry points in the groups aetrain.models,
aetrain.nets, aetrain.priors and aetrain.data. Their defaults are the YAML in `conf` beside the offered class's module.

Nothing is imported here, and no configuration has any influence on it.
"""

from __future__ import annotations

import functools
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from aetrain.config.conf import CONF

ROOMS = ("models", "nets", "priors", "data")
PROVIDER = "aetrain-packages"  # of their defaults on Hydra's search path


@functools.cache
def offers(room: str) -> list[EntryPoint]:
    """What installed packages offer to a room, in a fixed order. An editable install can be listed twice."""
    found = {(point.name, point.value): point for point in entry_points(group=f"aetrain.{room}")}
    return [found[key] for key in sorted(found)]


def package_of(point: EntryPoint) -> str:
    """The package that one installed."""
    return point.dist.name if point.dist else point.module.partition(".")[0]


@functools.cache
def conf_folders() -> list[Path]:
    """Ours and those of the packages, in the order in which a name is looked up."""
    folders = [CONF]
    for point in (point for room in ROOMS for point in offers(room)):
        top, *below = point.module.split(".")[:-1] or [point.module]
        spec = find_spec(top)  # of a top-level package, which does not import it
        for location in (spec.submodule_search_locations or []) if spec else []:
            folder = Path(location, *below, "conf")
            if folder.is_dir() and folder not in folders:
                folders.append(folder)
    return folders


def options(group: str) -> list[str]:
    """The names of a group's YAML files, ours and those of the packages."""
    paths = (path for folder in conf_folders() for path in (folder / group).glob("*.yaml"))
    return sorted({path.stem for path in paths if not path.stem.startswith("_")})
