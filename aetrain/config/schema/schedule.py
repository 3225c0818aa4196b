"""A factor on a value as a function of the run's progress: see aetrain/training/schedules.py."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field

from aetrain.config.fields import setting


@dataclass
class Schedule:
    """Lengths and milestones are fractions of the run."""

    kind: str = setting("how the value changes during the run", default="constant",
                        choices=("constant", "linear", "cosine", "step", "cyclical"))  # fmt: skip
    start: float = setting("factor at the start of a linear warm-up", default=0.0, min=0, only_if={"kind": ("linear",)})
    length: float = setting("share of the run (linear) or of each cycle (cyclical) that the rise takes", default=0.5,
                            above=0, only_if={"kind": ("linear", "cyclical")})  # fmt: skip
    end: float = setting("factor at the end of the cosine", default=0.0, min=0, only_if={"kind": ("cosine",)})
    cycles: int = setting("number of rises", default=4, min=1, only_if={"kind": ("cyclical",)})
    milestones: list[float] = setting("progress at which the factor applies once more", default=[0.5, 0.75], above=0,
                                      below=1, only_if={"kind": ("step",)})  # fmt: skip
    factor: float = setting("what the value is multiplied by at each milestone", default=0.1, above=0,
                            only_if={"kind": ("step",)})  # fmt: skip


def scheduled(cls: type) -> type:
    """A dataclass, with a field `schedule` that holds one Schedule for each of its hparams."""
    cls = dataclass(cls)
    names = [f.name for f in dataclasses.fields(cls) if f.metadata.get("hparam")]
    node = dataclasses.make_dataclass(
        f"{cls.__name__}Schedules", [(name, Schedule, field(default_factory=Schedule)) for name in names]
    )
    # Members of a sweep are sent to other processes, where pickle looks the class up by its name.
    node.__module__ = cls.__module__
    setattr(sys.modules[cls.__module__], node.__name__, node)
    whole = dataclasses.make_dataclass(
        cls.__name__,
        [("schedule", node, field(default_factory=node))],
        bases=(cls,),
    )
    whole.__doc__ = cls.__doc__
    whole.__module__ = cls.__module__  # from Python 3.12 on, make_dataclass puts this module's name there
    return whole
