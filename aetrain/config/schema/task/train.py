"""Training."""

from __future__ import annotations

from dataclasses import dataclass

from aetrain.config.schema.task.base import Task


@dataclass
class Train(Task):
    """Train a model, then evaluate it on the test split."""
