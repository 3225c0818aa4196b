"""The logger that a run's configuration asks for."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aetrain.config.schema import logger as schema
from aetrain.config.tree import flatten, plain
from aetrain.files import parsed
from aetrain.loggers.background import Background, Logger
from aetrain.loggers.sent import NAME, Sent

log = logging.getLogger(__name__)


def connected(config: Any, folder: Path) -> list[Background]:
    """None, or one. config: the whole run's."""
    wanted, name = config.logger, "/".join(folder.absolute().parts[-2:])
    if isinstance(wanted, schema.TensorBoard):
        if (folder / NAME).exists():
            log.info("logged to TensorBoard alone; for its other logger, interrupt and resume with logger=… again")
        return []
    values = flatten(plain(config))
    values = {key: value for key, value in values.items() if key != "data.root" and not key.startswith("logger.")}

    def connect() -> Logger:
        sent = Sent(folder, wanted.name)
        if isinstance(wanted, schema.MLflow):
            from aetrain.loggers.mlflow import MLflow

            return MLflow(wanted, sent, name, values)
        from aetrain.loggers.wandb import WandB

        return WandB(wanted, sent, name, values, folder, config.tags)

    logger = Background(wanted.name, connect)
    for step, metrics in _logged(folder / "metrics.jsonl"):
        logger.log(step, metrics)
    return [logger]


def _logged(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """What a run that goes on has logged before: what the logger has of it is not sent again. The file may be someone
    else's; lines of another form are left out."""
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                row = parsed(line)
            except ValueError:
                continue
            if not isinstance(row, dict) or type(row.get("step")) is not int:
                continue
            values = {tag: math.nan if value is None else value for tag, value in row.items()
                      if tag not in ("step", "epoch") and isinstance(value, int | float | None)}  # fmt: skip
            if values:
                yield row["step"], values
