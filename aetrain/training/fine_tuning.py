"""A classifier trained through its encoders, too."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from aetrain.data.split import Split
from aetrain.evaluation.classifier import HISTORY, Classifier, error_percent
from aetrain.lbfgs import lbfgs
from aetrain.training.batches import Batches

ITERATIONS = 20  # of L-BFGS between two reports


def fine_tune(classifier: Classifier, train: Split, val: Split, *, epochs: int, lr: float, batch_size: int,
              decay: float, seed: int, say: Callable[[int, int, float], None]) -> None:  # fmt: skip
    """Adam on the mean cross-entropy + decay · Σ w² of the head, through all encoders, with a learning rate that falls
    to zero on a cosine. With validation images the epoch of the fewest errors on them is kept, else the last.
    `say` is called with every epoch, their number and its error in percent (of val, or train without one)."""
    optimizer = torch.optim.Adam(classifier.parameters(), lr=lr)
    batches = Batches(train, batch_size, seed)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches.per_epoch)
    best, kept = float("inf"), None
    for epoch in range(epochs):
        for step in range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch):
            x, y = batches.get(step)
            loss = F.cross_entropy(classifier(x), y) + decay * classifier.head.weight.square().sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        error = error_percent(classifier, val if len(val) else train)
        say(epoch + 1, epochs, error)
        if len(val) and error < best:
            best, kept = error, {name: value.clone() for name, value in classifier.state_dict().items()}
    if kept is not None:
        classifier.load_state_dict(kept)


def fine_tune_lbfgs(classifier: Classifier, train: Split, *, iterations: int, decay: float,
                    say: Callable[[int, int, float], None]) -> None:  # fmt: skip
    """The objective of `fine_tune` by L-BFGS on all training images at once. `say` is called now and then with the
    iterations done, their number and the error on these images in percent."""
    x, y = train.first(len(train))
    optimizer = lbfgs(classifier.parameters(), ITERATIONS, HISTORY)

    def objective() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(classifier(x).double(), y) + decay * classifier.head.weight.square().sum()
        loss.backward()
        return loss

    for done in range(0, iterations, ITERATIONS):
        optimizer.param_groups[0]["max_iter"] = min(ITERATIONS, iterations - done)
        optimizer.step(objective)
        say(min(done + ITERATIONS, iterations), iterations, error_percent(classifier, train))
