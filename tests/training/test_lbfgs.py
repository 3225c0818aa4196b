"""L-BFGS against closed forms, against Adam, and around points where the objective is not finite."""

import copy

import pytest
import torch
from torch import nn

from aetrain.data.split import Split
from aetrain.device import Precision
from aetrain.evaluation.classifier import Classifier, softmax_regression
from aetrain.lbfgs import lbfgs
from aetrain.training.fine_tuning import fine_tune_lbfgs
from aetrain.training.lbfgs import make_lbfgs_step
from aetrain.training.optimizer import build_optimizer
from aetrain.training.step import Latch, make_step
from tests.conftest import build, compose

CPU = torch.device("cpu")


class Objective(nn.Module):
    """A function of weights w and of x (B, D), as a model whose loss it is."""

    def __init__(self, function, start):
        super().__init__()
        self.function, self.w = function, nn.Parameter(torch.tensor(start))

    def forward(self, x, y=None):
        return {"loss": self.function(self.w, x)}


def steps(objective, x, count, iterations=10, latch=None):
    step = make_lbfgs_step(objective, lbfgs(objective.parameters(), iterations, history=10), latch)
    return [step(x) for _ in range(count)]


def rosenbrock(w, x):
    return ((1 - w[0]).square() + 100 * (w[1] - w[0].square()).square()).expand(len(x))


def test_a_linear_autoencoder_reaches_pcas_minimum_and_adam_does_not():
    """The same number of evaluations for both, and for Adam the best of three learning rates."""
    torch.manual_seed(0)
    scales = torch.tensor([[10.0], [3.0], [1.0], [0.3], [0.1], [0.03]])
    x = (torch.randn(200, 6) @ (scales * torch.randn(6, 16))).view(200, 1, 4, 4)
    centred = (x - x.mean(0)).flatten(1).double()
    minimum = float(torch.linalg.eigvalsh(centred.T @ centred / len(x))[:-3].sum())  # with a code of 3 units
    net = build("model=ae", "net=linear", "model.output=identity", "model.latent_dim=3", image_shape=(1, 4, 4))

    @torch.no_grad()
    def excess(model):
        return float(model(x)["loss"].double().mean()) / minimum - 1

    ours, evaluations = copy.deepcopy(net), []
    ours.encoder.register_forward_hook(lambda *_: evaluations.append(1))
    steps(ours, x, 10, iterations=20, latch=Latch(CPU))
    with_adam = []
    for lr in (1e-3, 1e-2, 1e-1):
        theirs = copy.deepcopy(net)
        optimizer = build_optimizer(compose(f"optimizer.lr={lr}").optimizer, theirs)
        step = make_step(theirs, optimizer, Precision.of("fp32", CPU))
        for _ in evaluations:
            step(x)
        with_adam.append(excess(theirs))
    assert excess(ours) < 2e-3 and min(with_adam) > 5 * excess(ours)


def test_two_steps_are_one_of_twice_the_iterations_to_the_bit():
    x = torch.zeros(3, 1)
    twice, once = Objective(rosenbrock, [-1.2, 1.0]), Objective(rosenbrock, [-1.2, 1.0])
    steps(twice, x, 2, iterations=7)
    steps(once, x, 1, iterations=14)
    assert torch.equal(twice.w, once.w)
    steps(once, x, 1, iterations=40)
    torch.testing.assert_close(once.w, torch.ones(2), rtol=0, atol=1e-3)


def test_means_are_those_of_the_point_where_the_step_starts():
    first, second = steps(Objective(lambda w, x: (x @ w).square(), [3.0, 4.0]), torch.eye(2), 2)
    assert float(first["loss"]) == 12.5 and float(first["grad_norm"]) == 5
    assert float(second["loss"]) < 1e-10


def test_the_line_search_steps_back_from_where_the_objective_is_none():
    """x·w − log w has its minimum at 1/x. From far beyond, the first Newton steps lead to w < 0, where it is NaN."""
    net = Objective(lambda w, x: x[:, 0] * w - torch.log(w), 10.0)
    tried = []
    net.register_forward_hook(lambda _module, _inputs, out: tried.append(float(out["loss"].detach().mean())))
    steps(net, torch.full((4, 1), 0.5), 3)
    assert any(value != value for value in tried)
    assert net.w.item() == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("skip", [False, True])
def test_the_latch_closes_before_an_update(skip):
    latch, net = Latch(CPU, skip=skip), Objective(lambda w, x: (x @ w).square(), [3.0, 4.0])
    step = make_lbfgs_step(net, lbfgs(net.parameters(), 10, 10), latch)
    step(torch.eye(2) * torch.nan)
    assert net.w.tolist() == [3, 4] and latch.first_bad == 0 and latch.bad_values.tolist() == [True, True]
    step(torch.eye(2))
    assert (net.w.tolist() == [3, 4]) is not skip


def test_a_classifier_without_encoders_is_softmax_regression():
    """Both minimise one convex function: with and without encoders' code around it, in float32 and float64."""
    torch.manual_seed(0)
    split = Split(torch.rand(300, 1, 1, 5), torch.randint(0, 3, (300,)))
    exact = softmax_regression(split, 3, decay=1e-3, iterations=100)
    classifier = Classifier([], nn.Linear(5, 3))
    said = []
    fine_tune_lbfgs(classifier, split, iterations=50, decay=1e-3, say=lambda *words: said.append(words))
    assert [words[:2] for words in said] == [(20, 50), (40, 50), (50, 50)]
    torch.testing.assert_close(classifier.head.weight, exact.weight, rtol=0, atol=1e-3)
