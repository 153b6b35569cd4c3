"""An optimizer of one's own: a subclass with a flat update gets groups, states, checks and roll-back for nothing."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from conventions import X, Y, exactly, parameters, train
from torch import Tensor

import margin_lab as ml
from margin_lab.optim import GD, LogLossOptimizer


class HeavyBall(LogLossOptimizer):
    """Momentum on log L."""

    def __init__(self, params: Iterable[Any], lr: float = 0.1, momentum: float = 0.9):
        super().__init__(params, lr, momentum=momentum)

    def check(self, options: Any) -> None:
        if not 0 <= options["momentum"] < 1:
            raise ValueError(f"momentum must be in [0, 1), got {options['momentum']}")

    def update(
        self, w: Tensor, grad: Tensor, lr: Any, log_loss: float | None, state: dict[str, Any]
    ) -> Tensor:
        state["v"] = self.option("momentum") * state.get("v", 0.0) + grad
        return w - lr * state["v"]


def test_it_is_the_heavy_ball() -> None:
    theirs = parameters()
    sgd = torch.optim.SGD(theirs, lr=0.1, momentum=0.9)
    for _ in range(6):
        sgd.zero_grad()
        w = torch.cat([p.reshape(-1) for p in theirs])
        ml.log_loss(X @ w, Y, reduction="mean").backward()
        sgd.step()
    expected = torch.cat([p.detach().reshape(-1) for p in theirs])
    torch.testing.assert_close(train(HeavyBall(parameters())), expected, rtol=1e-12, atol=0)


def test_it_follows_torchs_conventions() -> None:
    optimizer = HeavyBall(parameters(), momentum=0.5)
    assert optimizer.defaults == {"lr": 0.1, "momentum": 0.5, "gradients_of": "log_loss"}
    train(optimizer, 3)
    again = HeavyBall([torch.nn.Parameter(p.detach().clone()) for p in optimizer.param_groups[0]["params"]])
    again.load_state_dict(optimizer.state_dict())
    exactly(train(copy.deepcopy(optimizer), 3), train(again, 3))
    with pytest.raises(ValueError, match="no state of GD with .*: it is of HeavyBall"):
        GD(parameters()).load_state_dict(optimizer.state_dict())
    with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\), got 2"):
        HeavyBall(parameters(), momentum=2.0)
    first, second = parameters()
    with pytest.raises(ValueError, match="momentum is joint over all groups"):
        HeavyBall([{"params": [first]}, {"params": [second], "momentum": 0.1}])


def test_a_step_that_overflows_is_taken_back() -> None:
    optimizer = HeavyBall(parameters())
    train(optimizer, 2)
    before = str(optimizer.state_dict())
    optimizer.param_groups[0]["lr"] = torch.finfo(torch.float64).max
    with pytest.raises(ml.DivergedError, match="HeavyBall: the step overflowed"):
        train(optimizer, 1)
    optimizer.param_groups[0]["lr"] = 0.1
    assert str(optimizer.state_dict()) == before
