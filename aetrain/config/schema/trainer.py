"""How long, in what portions, and what is written down on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from aetrain.config.fields import setting
from aetrain.errors import UserError


@dataclass
class Trainer:
    epochs: int = setting("passes over the training split", min=1)
    max_steps: Optional[int] = setting("ends the run earlier than epochs would", min=1, unit="steps")
    minutes: Optional[float] = setting("after which training stops, to be continued with resume=; null: no limit",
                                       above=0, unit="minutes")  # fmt: skip
    batch_size: int = setting("per step; the last short batch of an epoch is dropped", min=1, unit="images")
    eval_batch_size: int = setting("at a time in evaluation; results do not depend on it", min=1, unit="images")
    clip_norm: Optional[float] = setting("largest gradient norm; larger ones are scaled down to it", above=0)
    patience: Optional[int] = setting("without a better val/loss, after which the run stops; null: never", min=1,
                                      unit="epochs")  # fmt: skip
    min_delta: float = setting("by which val/loss must improve to count as better", min=0, unit="nats")
    log_every: int = setting("between two entries in TensorBoard and metrics.jsonl; a shorter epoch has one at its end",
                             min=1, unit="steps")  # fmt: skip
    grid_epochs: int = setting("between two sets of image grids; the last epoch always has one", min=1, unit="epochs")
    checkpoint_epochs: int = setting("between two checkpoints", min=1, unit="epochs")
    checkpoint_minutes: float = setting("after which one is written even in the middle of an epoch", above=0,
                                        unit="minutes")  # fmt: skip
    on_nonfinite: str = setting("what to do about a step whose loss or gradient is NaN or infinite",
                                choices=("stop", "skip"))  # fmt: skip
    compile: Any = setting("torch.compile around the whole step, which takes 5 to 25 s: true, false, or auto, for runs "
                           "that are long enough to repay them", default=False)  # fmt: skip
    cuda_graph: Optional[bool] = setting("on a GPU, replay the steps as CUDA graphs: the same numbers, a twelfth of "
                                         "the time; null: for aetrain's own models and resident data")  # fmt: skip
    profile_steps: int = setting("steps that are profiled, the 11th and on, into profile.txt and profile.json; 0: none",
                                 min=0)  # fmt: skip
    test: str = setting("which weights the test split is evaluated with: the last, or those of the best val/loss",
                        choices=("last", "best"))  # fmt: skip
    nll_samples: int = setting("importance samples per test image for test/nll (VAEs); 0: none; 5000 is usual", min=0)
    objective_metric: Optional[str] = setting("what a sweep minimises, as val/recon; null: val/nelbo, or val/recon "
                                              "where there is none")  # fmt: skip

    def __post_init__(self) -> None:
        if self.compile != "auto" and not isinstance(self.compile, bool):
            raise UserError(f"trainer.compile={self.compile}: choose from: auto, true, false")
