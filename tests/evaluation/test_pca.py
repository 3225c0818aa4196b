"""PCA beside a model."""

import pytest
import torch

from aetrain.evaluation import pca
from aetrain.evaluation.pca import PCA, principal, projected
from aetrain.losses import squared_error
from tests.conftest import unlabelled


@pytest.mark.parametrize("exact", [True, False])
def test_projections_leave_the_discarded_eigenvalues(monkeypatch, exact):
    """Also where they are found approximately, which leaves torch's generator as it was."""
    monkeypatch.setattr(pca, "EXACT_UP_TO", 100 if exact else 10)
    x = torch.randn(200, 4, generator=torch.Generator().manual_seed(0)) @ torch.diag(torch.tensor([4.0, 3, 2, 1]))
    x = torch.cat([x, 0.1 * torch.randn(200, 60, generator=torch.Generator().manual_seed(1))], 1).view(200, 1, 8, 8)
    before = torch.get_rng_state()
    basis = principal(unlabelled(x), 3)
    assert torch.equal(before, torch.get_rng_state())
    error = float(squared_error(x, projected(x, *basis)).mean())
    assert error == pytest.approx(PCA.of(unlabelled(x)).minimum(3), rel=1e-5)
