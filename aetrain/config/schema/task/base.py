"""What the configurations of tasks have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Optional

from aetrain.config.fields import setting
from aetrain.errors import UserError

if TYPE_CHECKING:
    from aetrain.config.schema import Config


@dataclass
class Task:
    name: str = setting("the task's name")


@dataclass
class OnRun(Task):
    """A task on a trained model."""

    together: ClassVar[bool] = False  # all runs of a folder at once, into one result

    def check(self, config: Config) -> None:
        """Raise a UserError for a run that the task cannot be done on. config: the run's."""

    def refuse_discrete(self, config: Config, instead: str) -> None:
        """For tasks that move numbers of a code one by one. instead: what shows the same of a discrete code."""
        if config.model.is_discrete:
            raise UserError(
                f"aetrain {self.name}: moves single numbers of a code, and those of model={config.model.name} are "
                f"vectors chosen from a codebook; {instead}"
            )


@dataclass
class OnImages(OnRun):
    """The keys of every task on a trained model and on images."""

    any_class: ClassVar[bool] = False  # also on images of classes that a model that is given classes was not trained on

    split: Optional[str] = setting("the images; null: test, and all of other images that have no test split",
                                   choices=("test", "val", "train", "all"))  # fmt: skip
    batch_size: Optional[int] = setting("at a time; does not change the results; null: the run's "
                                        "trainer.eval_batch_size", min=1, unit="images")  # fmt: skip
