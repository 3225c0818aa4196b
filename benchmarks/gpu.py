"""Everything that only a GPU can prove or measure, in one go and in order of value.

    make gpu                                        all steps, under 25 minutes
    make gpu ARGS="--minutes 8 --only tests,speed"  a first look
    python -m benchmarks.gpu                        the same, without installing the project
    python -m benchmarks.gpu --dry                  tiny sizes on the CPU: does the program itself work?

Every step is a process of its own, since a failed capture or an error on the device cannot be repaired in the one that
it happened to. Each row goes into results/gpu.json at once: a cut loses nothing. The steps are in benchmarks/on_gpu.py.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks import results

STEPS = {  # name -> minutes after which it is cut
    "tests": 4,
    "equal": 3,
    "speed": 3,
    "runs": 3,
    "stacks": 3,
    "resume": 2,
    "tasks": 3,
    "published": 12,
}
SAME = ("step", "case", "contender")  # which row of the file a new one replaces
GRACE = 10  # seconds between SIGTERM and SIGKILL


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=24, help="for all steps together (default: %(default)s)")
    parser.add_argument("--only", default=",".join(STEPS), help="steps, separated by commas (default: %(default)s)")
    parser.add_argument("--dry", action="store_true", help="tiny sizes on the CPU")
    parser.add_argument("--out", type=Path, default=results.FOLDER / "gpu.json", help="default: %(default)s")
    options = parser.parse_args(argv)
    names = options.only.split(",")
    if unknown := set(names) - set(STEPS):
        parser.error(f"no such step: {', '.join(sorted(unknown))}; choose from {', '.join(STEPS)}")
    words = " ".join(["python -m benchmarks.gpu", *argv])
    where = results.environment(f"{words} device=cuda" if not options.dry else words)
    print("  ".join(f"{key}: {value}" for key, value in where.items()), flush=True)
    end, failed = time.monotonic() + 60 * options.minutes, []
    for name in names:
        left = min(60 * STEPS[name], end - time.monotonic())
        told = done(name, left, options.dry, options.out, where) if left > GRACE else "no time was left"
        if told != "done":
            failed.append(name)
        row = {"step": name, "case": "status", "contender": None, "status": told}
        results.update(options.out, where, [row], SAME)
        print(f"{name}: {told}", flush=True)
    return 1 if failed else 0


def done(name: str, seconds: float, dry: bool, out: Path, where: dict[str, Any]) -> str:
    """Run one step; its rows go into the file as they come. Returns how it ended."""
    command = [sys.executable, "-m", "benchmarks.on_gpu", name, *(["--dry"] if dry else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    end = time.monotonic() + seconds
    cut = threading.Timer(seconds, _end, [process])
    cut.start()
    with process.stdout as lines:
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:  # what the programs that it starts say
                print(line, end="", flush=True)
                continue
            results.update(out, where, [{"step": name, **row}], SAME)
            print(f"{name}: {line}", end="", flush=True)
    code = process.wait()
    cut.cancel()
    if time.monotonic() >= end:
        return f"cut after {seconds:.0f} s"
    return "done" if code == 0 else f"failed with exit code {code}"


def _end(process: subprocess.Popen) -> None:
    """The step and whatever it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
