"""What training itself measures on a split."""

from __future__ import annotations

from aetrain.evaluation.terms import evaluate
from aetrain.noise import mix
from aetrain.tasks.work import Work


def terms(work: Work, most: int | None = None) -> dict[str, float]:
    """Every term and 0-D diagnostic, with the noise of the training's own evaluation: on the same images, the numbers
    of result.json. Over all images, or the first `most`."""
    seed = mix(work.run_seed, "evaluation", work.split_name)
    with work.counted(work.split, "images") as split:
        found = evaluate(work.model, split, work.batch_size, seed, work.precision, most)
    return found.terms | {name: float(value) for name, value in found.diagnostics.items() if value.ndim == 0}
