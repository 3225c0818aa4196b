"""AUROC and average precision against scikit-learn's, and known values."""

import math

import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from aetrain.evaluation.detection import auroc, average_precision, threshold


@pytest.mark.parametrize("ties", [False, True])
def test_both_are_scikit_learns(ties):
    generator = torch.Generator().manual_seed(0)
    normal, anomalous = torch.randn(200, generator=generator), torch.randn(50, generator=generator) + 1
    if ties:
        normal, anomalous = normal.round(), anomalous.round()
    truth, scores = [0] * 200 + [1] * 50, torch.cat([normal, anomalous])
    assert auroc(normal, anomalous) == pytest.approx(roc_auc_score(truth, scores))
    assert average_precision(normal, anomalous) == pytest.approx(average_precision_score(truth, scores))


def test_known_values():
    low, high = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    assert auroc(low, high) == average_precision(low, high) == 1
    assert auroc(high, low) == 0
    assert auroc(low, low) == 0.5
    assert average_precision(torch.zeros(3), torch.zeros(1)) == 0.25  # a constant score: the share of anomalies
    assert math.isnan(auroc(low, low[:0])) and math.isnan(average_precision(low, low[:0]))


@pytest.mark.parametrize(("share", "alarms"), [(0.0, 0), (0.05, 5), (0.051, 5), (0.5, 50)])
def test_threshold_lets_no_more_false_alarms_pass_than_were_asked_for(share, alarms):
    normal = torch.randperm(100, generator=torch.Generator().manual_seed(0)).float()
    assert int((normal > threshold(normal, share)).sum()) == alarms
