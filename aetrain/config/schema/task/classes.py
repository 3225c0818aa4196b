"""Tasks that can be told which classes a conditional model decodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from aetrain.config.fields import setting
from aetrain.config.schema.task.base import OnImages
from aetrain.errors import UserError

if TYPE_CHECKING:
    from aetrain.config.schema import Config


@dataclass
class OfClasses(OnImages):
    """A task with `classes`."""

    classes: Optional[list[str]] = setting(
        "of a model that is given classes: those that are decoded, by name, as in [3,8]; null: every class in turn of "
        "samples, of images their own")  # fmt: skip

    def check(self, config: Config) -> None:
        if self.classes is None:
            return
        told = f"classes=[{','.join(self.classes)}]"
        if not config.model.needs_labels:
            raise UserError(f"{told}: model={config.model.name} is given no classes; leave it out, or train model=cvae")
        if not self.classes:
            raise UserError(f"{told}: name at least one class, or leave it out")
