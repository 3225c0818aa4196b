"""What a training finds on the images that it does not train on."""

from __future__ import annotations

import math

from aetrain.data.split import Splits
from aetrain.device import Precision
from aetrain.evaluation.independence import independence
from aetrain.evaluation.nll import importance_nll
from aetrain.evaluation.terms import Evaluation, evaluate
from aetrain.models import Autoencoder
from aetrain.noise import mix
from aetrain.training.schedules import Scheduler


class HeldOut:
    """Evaluates always with the values that scheduled hparams and weights have at the end of the run: val/loss is then
    the objective that is wanted, at every step, and `best` does not prefer the start of a warm-up."""

    def __init__(self, config, model: Autoencoder, splits: Splits, precision: Precision, scheduler: Scheduler,
                 total_steps: int):  # fmt: skip
        self._config, self._model, self._splits, self._precision = config, model, splits, precision
        self._scheduler, self._total_steps = scheduler, total_steps
        self._told: dict[str, Evaluation] = {}  # by split, see `tell`

    def evaluate(self, split: str) -> Evaluation:
        """split: val or test."""
        self._scheduler.apply(self._total_steps)
        if split in self._told:
            return self._told.pop(split)
        images, batch_size = getattr(self._splits, split), self._config.trainer.eval_batch_size
        return evaluate(self._model, images, batch_size, self.seed(split), self._precision)

    def test(self) -> Evaluation:
        """Of the test split, with what only the end of a training is worth."""
        found, images, seed = self.evaluate("test"), self._splits.test, self.seed("test")
        if math.isfinite(found.terms["loss"]):  # else it is said to have diverged
            found.terms.update(independence(self._model, images, self._splits.factors, seed))
        if samples := self._config.trainer.nll_samples:
            seed = mix(self._config.seed, "importance samples", "test")
            found.terms["nll"] = importance_nll(self._model, images, samples, seed)
        return found

    def seed(self, split: str) -> int:
        """Of an evaluation's noise."""
        return mix(self._config.seed, "evaluation", split)

    def tell(self, split: str, evaluation: Evaluation) -> None:
        """For a stack's member: what the next `evaluate` would find out."""
        self._told[split] = evaluation

    def forget(self) -> None:
        """What it was told and has not asked for."""
        self._told.clear()
