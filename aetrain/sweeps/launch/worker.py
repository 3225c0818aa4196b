"""The process of one member of a sweep."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from contextlib import nullcontext
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

from hydra.core.utils import run_job, setup_globals

from aetrain.console import told
from aetrain.errors import AetrainError, Interrupted
from aetrain.jobs import Job, raise_failure
from aetrain.surroundings import escape_unwritable


def work(config: Any, hydra_context: Any, job: Job, threads: int, out: Connection, err: Connection,
         results: Connection, asked: bool) -> None:  # fmt: skip
    """Run the member as Hydra's own launcher does. Sends ("listening",), where it is asked ("at", share that is done)
    now and then, and at last one of ("done", its value), ("failed", message, exit code), ("interrupted", message) and
    ("bug", message)."""
    os.setpgid(0, 0)  # Ctrl-C at the terminal reaches the sweep, which passes it on
    escape_unwritable()  # before: a stream that was made of a file asks where in it it is, which a pipe does not say
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    threading.Thread(target=_end_with_the_sweep, daemon=True).start()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    results.send(("listening",))
    import torch

    torch.set_num_threads(threads)
    setup_globals()
    try:
        with told(lambda share: results.send(("at", share))) if asked else nullcontext():
            returned = run_job(
                task_function=job,
                config=config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
                hydra_context=hydra_context,
            )
        raise_failure(returned)
        results.send(("done", returned.return_value))
    except AetrainError as error:
        results.send(("failed", str(error), error.exit_code))
    except Interrupted as interrupt:
        results.send(("interrupted", str(interrupt)))
    except KeyboardInterrupt:
        results.send(("interrupted", "stopped at once"))
    except Exception as error:
        traceback.print_exc()
        results.send(("bug", f"{type(error).__name__}: {error}"))


def _end_with_the_sweep() -> None:
    """When the sweep's process is gone, however it went, so is this one: nobody would wait for it, and a resumed sweep
    would find its folder locked."""
    wait([parent_process().sentinel])
    os._exit(1)
