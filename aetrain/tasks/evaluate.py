"""task=evaluate: what a trained model is worth."""

from __future__ import annotations

from aetrain.evaluation.nll import importance_nll
from aetrain.evaluation.terms import evaluate
from aetrain.noise import mix
from aetrain.tasks.work import Work


def run(work: Work) -> dict[str, float]:
    """Every term and diagnostic of a split, under the names that they have in TensorBoard."""
    found = terms(work) | nll(work)
    return {f"{work.split_name}/{name}": value for name, value in found.items()}


def terms(work: Work) -> dict[str, float]:
    """With the noise of the training's own evaluation: on the same images, the numbers of result.json."""
    seed = mix(work.run_seed, "evaluation", work.split_name)
    with work.counted(work.split, "images") as split:
        found = evaluate(work.model, split, work.batch_size, seed, work.precision)
    return found.terms | {name: float(value) for name, value in found.diagnostics.items() if value.ndim == 0}


def nll(work: Work) -> dict[str, float]:
    """−log p(x) by importance sampling, for models with a posterior and a likelihood."""
    samples = work.task.nll_samples
    if not samples or work.model.prior is None:
        return {}
    seed = mix(work.run_seed, "importance samples", work.split_name)
    with work.counted(work.split, f"images, NLL of {samples} samples") as split:
        return {"nll": importance_nll(work.model, split, samples, seed)}
