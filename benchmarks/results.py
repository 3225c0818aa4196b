"""results/*.json: what the benchmarks measured, row by row, and where each row comes from.

A file holds `about` (the protocol), `environments` (date, commit, device, versions, command) and `rows`, each of which
names its environment, or null where it has not been measured. A new measurement replaces the rows that it repeats and
leaves the others.
"""

from __future__ import annotations

import itertools
import json
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "results"


def environment(command: str, **more: Any) -> dict[str, Any]:
    """Of the present process. more: what else the benchmark knows of it, as its device."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit(),
        "device": gpu() if "device=cuda" in command else cpu(),
        "versions": {"python": platform.python_version(), "torch": installed("torch"), "aetrain": installed("aetrain")},
        "command": command,
        **more,
    }


def remember(run: Path, where: dict[str, Any]) -> None:
    """Note where a run is made, in <run>.json beside its folder; to be called before it is."""
    run.parent.mkdir(parents=True, exist_ok=True)
    _beside(run).write_text(json.dumps(where), encoding="utf-8")


def remembered(runs: Sequence[Path]) -> dict[str, Any]:
    """Where these runs were made: see `joined`. Ends the program where nothing says so: it could not be published."""
    for run in runs:
        if not _beside(run).exists():
            sys.exit(f"{run}: {_beside(run)} would say where it was made, and is not there; remove the folder")
    return joined([json.loads(_beside(run).read_text(encoding="utf-8")) for run in runs])


def joined(environments: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The last, with the commits and the devices of all."""
    parts = {key: [part for one in environments for part in one[key].split(" and ")] for key in ("commit", "device")}
    return environments[-1] | {key: " and ".join(dict.fromkeys(values)) for key, values in parts.items()}


def _beside(run: Path) -> Path:
    return run.with_name(f"{run.name}.json")


def is_done(run: Path) -> bool:
    """Whether a run has come to its end."""
    result = run / "result.json"
    return result.exists() and json.loads(result.read_text(encoding="utf-8"))["status"] == "done"


def commit() -> str:
    """The checkout's, with a + where it has changes."""
    command = ["git", "-C", str(FOLDER.parent), "describe", "--always", "--exclude=*", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def cpu() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def gpu() -> str:
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0].strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown GPU"


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def update(path: Path, environment: dict[str, Any], rows: Sequence[dict[str, Any]], same: Sequence[str]) -> None:
    """Put rows into a file. same: the keys whose values say which row of the file one replaces."""
    content = read(path) if path.exists() else {"about": "", "environments": {}, "rows": []}
    key = _name(environment, content["environments"])
    fresh = {tuple(row.get(k) for k in same): {**row, "environment": key} for row in rows}
    content["rows"] = [fresh.pop(tuple(row.get(k) for k in same), row) for row in content["rows"]] + [*fresh.values()]
    environments = {**content["environments"], key: environment}
    used = {row["environment"] for row in content["rows"]}
    content["environments"] = {key: value for key, value in environments.items() if key in used}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dumps(content), encoding="utf-8")


def _name(environment: dict[str, Any], others: dict[str, Any]) -> str:
    """Date and commit, and a number where another environment has these two."""
    name = f"{environment['date']} {environment['commit']}"
    names = itertools.chain([name], (f"{name} ({n})" for n in itertools.count(2)))
    return next(name for name in names if others.get(name, environment) == environment)


def dumps(content: dict[str, Any]) -> str:
    """JSON with a line per environment and per row, so that a new measurement is a small diff."""
    environments = ",\n".join(f"  {_line(key)}: {_line(value)}" for key, value in content["environments"].items())
    rows = ",\n".join(f"  {_line(row)}" for row in content["rows"])
    return (
        f'{{\n "about": {_line(content["about"])},\n "environments": {{\n{environments}\n }},\n'
        f' "rows": [\n{rows}\n ]\n}}\n'
    )


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
