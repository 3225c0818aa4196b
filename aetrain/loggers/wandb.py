"""logger=wandb."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from aetrain.loggers.sent import Sent

SECONDS_TO_UPLOAD = 20  # at the end, before what is left stays in the folder for `wandb sync`


class WandB:
    """A run in Weights & Biases. What belongs to one step is sent as one row, once the next step comes: W&B takes no
    second row of a step."""

    def __init__(self, config: Any, sent: Sent, name: str, values: Mapping[str, Any], folder: Path, tags: list[str]):
        """config: of the logger. values: the run's configuration, flat. folder: W&B's own files go below it."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # what is not asked for is not sent
        import wandb

        self._sent, self._image = sent, wandb.Image
        self._step, self._row, self._tags = -1, {}, []
        # silent: it would ask for a key on the terminal. No link: none below a run's folder is ours to follow.
        settings = wandb.Settings(console="off", silent=True, symlink=False, save_code=False, disable_git=True,
                                  x_disable_stats=True, finish_timeout=SECONDS_TO_UPLOAD)  # fmt: skip
        if sent.id is None:
            sent.begin(secrets.token_hex(8))
        self._run = wandb.init(dir=str(folder.absolute()), mode=config.mode,
                               project=config.project, entity=config.entity, id=sent.id, resume="allow", name=name,
                               tags=tags or None, reinit="create_new", settings=settings)  # fmt: skip
        self._run.config.update(dict(values), allow_val_change=True)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._add(step, next(iter(values)), values)

    def image(self, step: int, tag: str, png: bytes) -> None:
        with Image.open(io.BytesIO(png)) as image:
            image.load()
            self._add(step, tag, {tag: self._image(image)})

    def _add(self, step: int, tag: str, values: Mapping[str, Any]) -> None:
        if self._sent.has(tag, step):
            return
        if step != self._step:
            self._send()
        self._step = step
        self._row.update(values)
        self._tags.append(tag)

    def _send(self) -> None:
        if self._row:
            self._run.log(self._row, step=self._step, commit=True)
        for tag in self._tags:
            self._sent.add(tag, self._step)
        self._row, self._tags = {}, []

    def finish(self, status: str, metrics: Mapping[str, float]) -> None:
        self._send()
        self._run.summary.update({**metrics, "status": status})
        self._run.finish(exit_code=0 if status == "done" else 1)

    def close(self) -> None:
        self._send()
        self._run.finish()
