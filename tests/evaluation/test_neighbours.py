"""Nearest neighbours against all distances, and what their labels say."""

import pytest
import torch

from aetrain.evaluation import neighbours
from aetrain.evaluation.neighbours import knn_accuracy, nearest, precision_at_k, vote


@pytest.mark.parametrize("at_once", [1, 1 << 24])
def test_nearest_are_those_of_all_distances(at_once, monkeypatch):
    monkeypatch.setattr(neighbours, "DISTANCES_AT_ONCE", at_once)
    generator = torch.Generator().manual_seed(0)
    queries, among = (100 + torch.rand(n, 5, generator=generator) for n in (7, 40))  # far from the origin
    found = nearest(queries, among, 3)
    exact = (queries.double()[:, None] - among.double()[None]).norm(dim=2)
    distance, index = exact.topk(3, largest=False)
    assert torch.equal(found.index, index)
    torch.testing.assert_close(found.distance.double(), distance, rtol=1e-4, atol=1e-5)


def test_a_query_is_not_its_own_neighbour():
    points = torch.tensor([[0.0], [0.0], [1.0], [5.0]])
    found = nearest(points[1:3], points, 2, own=torch.tensor([1, 2]))
    assert found.index[0].tolist() == [0, 2] and found.distance[0].tolist() == [0, 1]
    assert 2 not in found.index[1]
    with pytest.raises(ValueError, match="k=4 of 3"):
        nearest(points, points, 4, own=torch.arange(4))


def test_a_tied_vote_goes_to_the_nearest():
    assert vote(torch.tensor([[3, 1, 1, 3, 2], [2, 1, 1, 0, 3], [4, 4, 1, 1, 1]])).tolist() == [3, 1, 1]


def test_knn_accuracy_of_clusters_and_of_labels_that_mean_nothing():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(200) % 4
    x = 10 * torch.eye(4)[y] + torch.randn(200, 4, generator=generator)
    assert knn_accuracy((x[:100], y[:100]), (x[100:], y[100:])) == 1
    assert knn_accuracy((torch.randn(100, 4, generator=generator), y[:100]), (x[100:], y[100:])) < 0.5


def test_precision_at_k():
    found = torch.tensor([[0, 1], [2, 0]])
    assert precision_at_k(torch.tensor([5, 6]), found, torch.tensor([5, 5, 6])) == 0.75
