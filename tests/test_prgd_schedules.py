"""PRGD's schedules for linear models and networks: the advice of the docstring works, the linear one on a network does not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

import margin_lab as ml
from margin_lab import optim

PAIR = ml.datasets.digits_pair(3, 8)
X, Y = torch.tensor(PAIR.X[:40]), torch.tensor(PAIR.y[:40])


def fitted(depth: int, seed: int) -> ml.models.MLP:
    """A network trained to a loss of 1/e, with its gradients there."""
    net = ml.models.MLP([X.shape[1], *[10] * (depth - 1), 1], seed=seed)
    optimizer = optim.NormalizedGD(net.parameters(), lr=0.02)
    while True:
        optimizer.zero_grad()
        value = ml.log_loss(net(X), Y, reduction="sum")
        value.backward()
        if value < -1:
            return net
        optimizer.step()


def train(net: ml.models.MLP, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    """Log losses."""
    values = []
    for _ in range(steps):
        optimizer.zero_grad()
        value = ml.log_loss(net(X), Y, reduction="sum")
        value.backward()
        optimizer.step()
        values.append(value.item())
    return values


def margin(net: ml.models.MLP) -> float:
    return float(ml.normalized_margin(net, X, Y))


@pytest.mark.parametrize(("depth", "seed"), [(2, 0), (2, 1), (3, 0), (3, 1)])
def test_the_networks_schedule_widens_margins(depth: int, seed: int) -> None:
    net = fitted(depth, seed)
    squared = sum(float(p.grad.square().sum()) for p in net.parameters() if p.grad is not None)
    other, before, lr = copy.deepcopy(net), margin(net), 0.3 / squared
    schedule = optim.network_schedule(depth, 200)
    assert schedule["decay"] == 2 * depth - 2
    values = train(net, optim.PRGD(net.parameters(), lr, **schedule), 200)
    # outputs grow with R^depth, about a thousandfold, and nothing blows up
    assert values[-1] < 300 * values[0] < 0
    assert max(values) < 3
    assert margin(net) > 1.2 * before
    train(other, optim.NormalizedGD(other.parameters(), lr), 200)
    assert margin(net) > margin(other)


def test_the_linear_schedule_ruins_a_network() -> None:
    """Which is why it is no default."""
    net = fitted(2, 0)
    before = margin(net)
    train(net, optim.PRGD(net.parameters(), 1.0, **optim.linear_schedule()), 100)
    assert margin(net) < before / 2


def test_there_are_no_default_radii() -> None:
    with pytest.raises(
        ValueError, match=r"no default radii: pass \*\*margin_lab.optim.linear_schedule\(\) for"
    ):
        optim.PRGD([torch.nn.Parameter(torch.ones(2))])


def test_a_gradient_of_zeros_spends_no_iteration() -> None:
    for options in ({"blocks": "joint"}, {"blocks": "tensors"}, {"norm": "l1"}):
        w = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
        optimizer = optim.PRGD([w], radii=optim.exponential_radii(2.0), period=2, **options)  # type: ignore[arg-type]
        w.grad = torch.zeros_like(w)
        optimizer.step()
        assert w.tolist() == [1.0, 1.0] and optimizer.state_dict()["state"] == {}
        ml.log_loss(torch.eye(2, dtype=torch.float64) @ w, torch.ones(2)).backward()
        for _ in range(2):
            optimizer.step()
        w.grad = torch.zeros_like(w)
        before, state = w.detach().clone(), str(optimizer.state_dict())
        for _ in range(3):
            optimizer.step()
        assert torch.equal(w, before) and str(optimizer.state_dict()) == state


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: optim.network_schedule(0, 10), "degree must be > 0"),
        (lambda: optim.network_schedule(2, 0), "steps must be a whole number >= 1"),
        (lambda: optim.network_schedule(2, 10, sharper=1.0), "sharper must be > 1, got 1.0"),
        (lambda: optim.network_schedule(2, 10, period=0), "period must be a whole number >= 1"),
        (lambda: optim.linear_schedule(growth=-1), "growth must be > 0"),
        (lambda: optim.linear_schedule(period=0), "period must be a whole number >= 1"),
    ],
)
def test_bad_schedules(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
