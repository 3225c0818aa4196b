"""What ends a training whose numbers have gone wrong."""

from __future__ import annotations

from aetrain.errors import RunFailed
from aetrain.training.state import Training

SMALLEST_SCALE = 1e-4  # of the fp16 gradient scaler, which starts at 65536 and halves at every overflow


def check_finite(training: Training) -> None:
    """Raise RunFailed, with the step and the term, if the latch has closed, or if fp16 has no scale left."""
    first_bad = training.latch.first_bad
    if first_bad >= 0 and not training.latch.skip:
        raise RunFailed(_diverged(training, training.first_step + first_bad + 1))
    scaler = training.precision.scaler
    if scaler and scaler.get_scale() < SMALLEST_SCALE:
        raise RunFailed(
            f"diverged: the gradients overflow fp16 at every scale (step {training.step}); try device.precision=bf16 "
            "or a smaller optimizer.lr"
        )


def _diverged(training: Training, step: int) -> str:
    config, bad = training.config, training.latch.bad_values.tolist()
    terms = [name for name in training.meters.names if name != "grad_norm"]
    names = [*terms, *["the gradient's norm"] * len(training.optimizer.param_groups)]
    name = next(name for name, is_bad in zip(names, bad, strict=False) if is_bad)
    # A stack has one update for all: it cannot leave out a member's.
    since = "its weights are worthless" if training.stacked else "no update was made"
    return (
        f"diverged: {name} was not finite at step {step} (optimizer.lr={config.optimizer.lr}, device.precision="
        f"{config.device.precision}); {since} from there on; try a smaller optimizer.lr, trainer.clip_norm=1 or "
        f"device.precision=fp32. The state before it: {training.run.folder}/checkpoints/last.pt"
    )
