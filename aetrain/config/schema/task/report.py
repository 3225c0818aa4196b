"""The report."""

from __future__ import annotations

from dataclasses import dataclass

from aetrain.config.schema.task.base import Task


@dataclass
class Report(Task):
    """The report of a sweep, or of any set of runs: trains nothing."""
