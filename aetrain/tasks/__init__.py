"""What `aetrain` can do, one module per task, chosen by the task group."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

TASKS = ("train", "linear", "classify")


def run_task(config, folder: Path, overrides: list[str], resumed: bool = False) -> float | None:
    """Run the task that the configuration names in the run folder; returns the metric that a sweeper minimises."""
    if config.task.name not in TASKS:
        raise KeyError(config.task.name)
    return import_module(f"aetrain.tasks.{config.task.name}").run(config, folder, overrides, resumed)
