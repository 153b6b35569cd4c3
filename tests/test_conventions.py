"""One rule for every loss and run: the mean by default, the sum by name; k outputs name their loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import margin_lab as ml
from margin_lab.models import MLP

RNG = np.random.default_rng(0)
X, N = RNG.standard_normal((11, 4)), 11
Y = np.where(X[:, 0] > 0, 1.0, -1.0)
CLASSES = RNG.integers(0, 3, N)


def test_the_loss_is_torchs_mean_by_default() -> None:
    logits = torch.tensor(RNG.standard_normal((N, 3)))
    y = torch.tensor(CLASSES)
    for how in ({}, {"reduction": "mean"}, {"reduction": "sum"}):
        expected = nn.functional.cross_entropy(logits, y, **how).log()
        assert float(ml.log_loss(logits, y, "cross_entropy", **how)) == pytest.approx(
            float(expected), rel=1e-13
        )


@pytest.mark.parametrize("method", ["gd", "adam", "momentum"])
def test_linear_runs_and_networks_follow_one_rule(method: str) -> None:
    """The same numbers from both, for both reductions; the sum is the mean with n times the step for gradient descent."""
    eps = {"eps": 1e-2} if method == "adam" else {}
    w0 = RNG.standard_normal(4)
    runs = {}
    for reduction in ("mean", "sum"):
        how: dict[str, Any] = {"reduction": reduction, "record": "all", **eps}
        linear = ml.run_linear(X, Y, method, 30, lr=0.02, w0=w0, **how)
        net = ml.run_network(MLP([4, 1]), X, Y, method, 30, lr=0.02, theta0=w0, keep="all", **how)
        np.testing.assert_allclose(net.history, linear.w, rtol=1e-11)
        np.testing.assert_allclose(net.log_loss, linear.log_loss, rtol=1e-11, atol=1e-13)
        assert linear.reduction == net.reduction == reduction
        runs[reduction] = linear
    assert not np.allclose(runs["mean"].w[-1], runs["sum"].w[-1], rtol=1e-3)
    expected = np.log(np.exp(-(runs["sum"].w * 1.0) @ (X * Y[:, None]).T).sum(1))
    np.testing.assert_allclose(runs["sum"].log_loss, expected, rtol=1e-11)
    if method == "gd":
        longer = ml.run_linear(X, Y, "gd", 30, lr=0.02 * N, w0=w0, record="all")
        np.testing.assert_allclose(longer.w, runs["sum"].w, rtol=1e-11)
    default = ml.run_linear(X, Y, method, 30, lr=0.02, w0=w0, record="all", **eps)
    np.testing.assert_array_equal(default.w, runs["mean"].w)


def test_mini_batches_follow_it_too() -> None:
    mean, total = (
        ml.run_linear(X, Y, "sgd", 20, lr=lr, batch_size=N, record="all", reduction=reduction)
        for lr, reduction in ((0.02 * N, "mean"), (0.02, "sum"))
    )
    np.testing.assert_allclose(mean.w, total.w, rtol=1e-11, atol=1e-14)


def test_the_smoothed_margin_is_of_the_sum_whatever_a_run_records() -> None:
    a, b = (
        ml.run_network(MLP([4, 8, 1]), X, Y, "ngd", 60, lr=0.1, reduction=reduction)
        for reduction in ("mean", "sum")
    )
    np.testing.assert_allclose(a.smoothed(), b.smoothed(), rtol=1e-11)
    assert ml.smoothed_margin(a.model(), X, Y) == pytest.approx(a.smoothed()[-1], rel=1e-11)


@pytest.mark.parametrize(
    "function",
    [
        lambda net: ml.log_loss(net(torch.tensor(X)), CLASSES),
        lambda net: ml.run_network(net, X, CLASSES, "gd", 3, lr=0.1),
        lambda net: ml.smoothed_margin(net, X, CLASSES),
        lambda net: ml.layer_margins.smoothed_layer_margin(net, X, CLASSES),
        lambda net: ml.kkt.residuals(net, X, CLASSES),
    ],
    ids=["log_loss", "run_network", "smoothed_margin", "smoothed_layer_margin", "residuals"],
)
def test_k_outputs_need_a_loss_by_name(function: Callable[[nn.Module], Any]) -> None:
    with pytest.raises(
        ValueError, match="outputs of 3 classes need a loss by name: loss='cross_entropy', or"
    ):
        function(MLP([4, 6, 3]))


@pytest.mark.parametrize("function", [ml.run_linear, ml.sweep_linear])
def test_other_reductions_are_refused(function: Callable[..., Any]) -> None:
    for reduction in ("none", "total"):
        with pytest.raises(ValueError, match=f"reduction must be one of 'mean', 'sum', got '{reduction}'"):
            function(X, Y, "gd", 3, reduction=reduction)
        with pytest.raises(ValueError, match=f"reduction must be one of 'mean', 'sum', got '{reduction}'"):
            ml.run_network(MLP([4, 1]), X, Y, "gd", 3, lr=0.1, reduction=reduction)
