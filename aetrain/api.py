"""What a notebook calls. Importing it imports no torch."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aetrain.config.schema import Config
from aetrain.errors import UserError
from aetrain.folder import check_links, check_new, make
from aetrain.logs import logged_to

if TYPE_CHECKING:
    from aetrain.models import Autoencoder
    from aetrain.tasks.asked import Outcome


@dataclass(frozen=True)
class Result:
    """What a run came to. metrics: {"test/loss": …}, as in result.json."""

    folder: Path
    status: str
    metrics: dict[str, float | None]


def config(*overrides: str) -> Config:
    """The checked configuration of a command line's overrides, as in config("model=beta_vae", "model.beta=4").

    Raises a UserError with the line that the command would have printed."""
    from aetrain.compose import check, composed, in_words
    from aetrain.config.command import check_words

    with in_words(overrides):
        check_words(overrides)
        return check(composed(overrides)[0], overrides)


def train(config: Config, folder: str | Path | None = None) -> Result:
    """Train into `folder`, by default outputs/<model>/<time>. Raises a UserError, RunFailed or Interrupted."""
    if not isinstance(config, Config):
        raise UserError(f"train({config!r}): give a configuration, as in aetrain.train(aetrain.config('model=vae'))")
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    suffix = f"_{config.name}" if config.name else ""
    folder = Path(folder) if folder is not None else Path("outputs", config.model.name, now + suffix)
    run(config, folder)
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return Result(folder, result["status"], result["metrics"])


def run(config: Config, folder: Path, overrides: Sequence[str] = (), resumed: bool = False) -> float | None:
    """The configuration's task in a folder, new or resumed: what every way to run one comes to. Returns the metric that
    a sweep minimises. overrides: as typed, for result.json."""
    check_links(folder) if resumed else check_new(folder)
    make(folder)
    _ignore_sigusr1()
    with logged_to(folder):
        from aetrain.tasks import run_task  # here, because it imports torch

        return run_task(config, folder, list(overrides), resumed)


def do(task: str, run: str | Path, *overrides: str, out: str | Path | None = None, show: bool = False) -> Outcome:
    """A task on a trained model, as `aetrain <task> run=<run> …` does it: aetrain.evaluate(run, "split=val").

    overrides: those of the command line. out: the folder to write into. show: its lines and numbers are printed.
    Raises a UserError, RunFailed or Interrupted."""
    from aetrain import on_runs

    words = [f"task={task}", *overrides, f"run={run}", *([] if out is None else [f"out={out}"])]
    return on_runs.do(on_runs.request(words), show)


def _ignore_sigusr1() -> None:
    """Until there is something to write a checkpoint of."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def load(run: str | Path, device: str = "cpu") -> Autoencoder:
    """The model of a run's folder, with the weights that were tested, or of a checkpoint, in evaluation mode; its
    parameters want no gradients: `.train().requires_grad_()` before it is trained on. The data set is not needed,
    nothing of the folder is run. Raises a UserError, one line."""
    from aetrain.training.loading import load_model

    return load_model(Path(run), device).requires_grad_(False)
