"""data=digits: the UCI handwritten digits inside scikit-learn, 8x8 pixels of 17 grey levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aetrain.config.schema.data import Digits
from aetrain.data.card import Card
from aetrain.data.sklearn import file_of

if TYPE_CHECKING:
    from aetrain.data.split import Split

COUNTS = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)


def card(config: Digits) -> Card:
    return Card((1, 8, 8), sum(COUNTS), None, n_classes=10, classes=tuple("0123456789"), counts={"train": COUNTS})


def load(config: Digits) -> dict[str, Split]:
    import numpy as np
    import torch

    from aetrain.data.split import Split

    table = np.loadtxt(file_of("data", "digits.csv.gz"), delimiter=",", dtype=np.int64)  # (1797, 64 pixels and a label)
    images = (table[:, :64] * 255 / 16).round().astype(np.uint8).reshape(-1, 1, 8, 8)
    return {"train": Split(torch.from_numpy(images), torch.from_numpy(table[:, 64].copy()))}
