"""What runs of networks take: any integer labels, any module that is a function of its parameters; one sentence for the rest."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import margin_lab as ml

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 4))
Y = np.where(X[:, 0] > 0, 1.0, -1.0)
CLASSES = RNG.integers(0, 3, 12)


def sequential(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5, bias=False), *layers, nn.Linear(5, 1, bias=False)).double()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, bool])
def test_class_indices_of_any_integer_type(dtype: Any) -> None:
    y = CLASSES > 0 if dtype is bool else CLASSES
    net = ml.models.MLP([4, 6, 2 if dtype is bool else 3])
    a, b = (
        ml.run_network(net, X, v, "ngd", 5, lr=0.1, loss="cross_entropy")
        for v in (y.astype(dtype), y.astype(int))
    )
    np.testing.assert_array_equal(a.theta, b.theta)
    signed = Y.astype(np.int8)
    np.testing.assert_array_equal(
        ml.run_network(sequential(nn.ReLU()), X, signed, "ngd", 5, lr=0.1).theta,
        ml.run_network(sequential(nn.ReLU()), X, Y, "ngd", 5, lr=0.1).theta,
    )


def test_labels_with_an_index_that_has_no_zero() -> None:
    pandas = pytest.importorskip("pandas")
    y = pandas.Series(Y, index=range(5, 17))
    frame = pandas.DataFrame(X, index=y.index)
    a, b = (ml.run_network(ml.models.MLP([4, 3, 1]), *d, "ngd", 5, lr=0.1) for d in ((frame, y), (X, Y)))
    np.testing.assert_array_equal(a.theta, b.theta)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(5), nn.Dropout(0.5)], ids=["BatchNorm", "dropout"])
def test_a_model_that_is_another_one_in_training_mode(layer: nn.Module) -> None:
    model = sequential(copy.deepcopy(layer), nn.ReLU())
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(
        ValueError, match="computes something else in training mode .*model.eval.. .* or use train_network"
    ):
        ml.run_network(model, X, Y, "ngd", 3, lr=0.1)
    assert model.training
    run = ml.run_network(model.eval(), X, Y, "ngd", 3, lr=0.1)
    assert np.isfinite(run.theta).all()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_spectral_norm_runs_in_eval_mode_and_is_left_alone() -> None:
    torch.manual_seed(0)
    first = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 5, bias=False).double())
    model = nn.Sequential(first, nn.ReLU(), nn.Linear(5, 1, bias=False).double()).eval()
    before = copy.deepcopy(model.state_dict())
    run = ml.run_network(model, X, Y, "ngd", 5, lr=0.1)
    assert run.log_loss[-1] < run.log_loss[0]
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm = nn.LSTM(2, 3, batch_first=True)
        self.head = nn.Linear(3, 1)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(x)[0][:, -1])[:, 0]


def test_recurrent_layers_run_one_after_another() -> None:
    sequences = X.reshape(12, 2, 2)
    model = Recurrent()
    theta0 = ml.models.flat_parameters(model)
    sweep = ml.sweep_network(model, sequences, Y, "gd", 4, lr=[0.1, 0.2], loss="logistic")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for _ in range(4):
        optimizer.zero_grad()
        nn.functional.softplus(-torch.tensor(Y) * model(torch.tensor(sequences))).mean().backward()
        optimizer.step()
    assert not torch.equal(ml.models.flat_parameters(model), theta0)
    np.testing.assert_allclose(sweep.theta[1], ml.models.flat_parameters(model), rtol=1e-10)


def test_the_way_back_is_tried_before_the_work() -> None:
    net = ml.models.MLP([4, 3, 1], dtype=torch.bfloat16)
    steps = []

    def update(w: Any, grad: Any, log_loss: Any, h: Any, state: Any) -> Any:
        steps.append(1)
        return w

    with pytest.raises(
        ValueError, match="results in torch.bfloat16 have no NumPy array; pass X as a tensor, or convert"
    ):
        ml.run_network(net, X, Y, update, 3, lr=0.1)
    assert not steps
    assert (
        ml.run_network(net, torch.tensor(X), torch.tensor(Y), update, 3, lr=0.1).theta.dtype == torch.bfloat16
    )


# ---- the degree, measured away from the start and again at the end


def test_biases_that_start_at_zero_have_no_degree() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1)).double()
    for layer in (model[0], model[2]):
        nn.init.zeros_(layer.bias)
    run = ml.run_network(model, X, Y, "ngd", 20, lr=0.1)
    assert run.degree is None
    assert run.margins == {}


def test_a_bend_that_is_met_at_the_end() -> None:
    torch.manual_seed(0)
    model = sequential(nn.ReLU6())
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(0.01)
    run = ml.run_network(model, X, Y, "ngd", 400, lr=0.2)
    assert run.degree is None


def test_a_head_that_starts_at_zero_has_the_degree_of_its_network() -> None:
    for model in (sequential(nn.ReLU()), ml.models.MLP([4, 5, 1])):
        with torch.no_grad():
            list(model.parameters())[-1].zero_()
        run = ml.run_network(model, X, Y, "ngd", 30, lr=0.1)
        assert run.degree == 2
        assert ml.normalized_margin(run.model(), X, Y) == pytest.approx(run.margins["l2"][-1], rel=1e-10)
