"""KKT residuals: the two equalities, the bound, the order of the divergence, exact points of linear models, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import margin_lab as ml
from margin_lab.theory.constraints import HomogeneousModel
from margin_lab.theory.kkt.conditions import kernel_support_vectors, residuals, reversed_bregman

NORMS = ["l1", "l2", "linf", 3, "modular"]


def trained(classes: int = 1, activation: str = "relu2", steps: int = 400) -> HomogeneousModel:
    """A small network that fits its data, at a point like any other on the way."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, 3))
    y = np.where(X[:, 0] > 0, 1, -1) if classes == 1 else rng.integers(0, classes, 12)
    net = ml.models.MLP([3, 6, classes], activation, seed=1, scale=0.7)
    loss = "exponential" if classes == 1 else "cross_entropy"
    run = ml.run_network(
        net, X, y, "ngd", steps=steps * classes, lr=0.02, loss=loss, until_log_loss=-9.0, record=[]
    )
    assert run.log_loss[-1] < -2
    return HomogeneousModel(run.model(), X, y, loss)


@pytest.fixture(scope="module")
def binary() -> HomogeneousModel:
    return trained()


@pytest.fixture(scope="module")
def classes() -> HomogeneousModel:
    return trained(3)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("problem", ["binary", "classes"])
def test_the_bregman_distance_is_the_misalignment(
    problem: str, norm: str, request: pytest.FixtureRequest
) -> None:
    p = request.getfixturevalue(problem)
    report = residuals(p, norm=norm)
    expected = report.margin ** (-2 / report.degree) * (1 - report.alignment)
    assert report.bregman == pytest.approx(expected, rel=1e-10) and report.bregman > 0
    assert report.gap >= report.bregman >= 0 and report.delta >= 0 and (report.multipliers >= 0).all()
    if p.loss == "exponential":
        assert report.delta_bound is not None and report.delta <= report.delta_bound
    if norm == "l2":
        assert report.epsilon == pytest.approx(math.sqrt(2 * expected), rel=1e-10)
    else:
        assert report.epsilon is None


@pytest.mark.parametrize("problem", ["binary", "classes"])
def test_the_multipliers_give_what_the_report_says(problem: str, request: pytest.FixtureRequest) -> None:
    """From their definition: gradients at theta~, one multiplier a constraint."""
    p = request.getfixturevalue(problem)
    theta, L = p.theta, p.degree
    q = p.margins(theta)
    scaled = theta / q.min() ** (1 / L)
    assert float(p.margins(scaled).min()) == pytest.approx(1)
    h = p.jacobian(scaled)
    for name in ("proof", "svm", "nnls"):
        report = residuals(p, multipliers=name)
        lam = torch.from_numpy(report.multipliers)
        assert report.epsilon == pytest.approx(float((scaled - lam @ h).norm()), rel=1e-9)
        assert report.delta == pytest.approx(
            float((lam * (p.margins(scaled) - 1)).max()), rel=1e-9, abs=1e-12
        )
        assert (report.samples == p.samples.numpy()).all() and len(lam) == len(q)


def test_gradients_at_the_wrong_point_are_seen(binary: HomogeneousModel) -> None:
    """The trap: at theta instead of theta~ the sum is off by the power q_min^(1 - 1/L)."""
    report = residuals(binary)
    q_min = float(binary.margins(binary.theta).min())
    scaled = binary.theta / q_min ** (1 / binary.degree)
    wrong = scaled - torch.from_numpy(report.multipliers) @ binary.jacobian(binary.theta)
    assert report.epsilon is not None and float(wrong.norm()) > 3 * report.epsilon


def test_better_multipliers_are_better(binary: HomogeneousModel) -> None:
    proof, svm, nearest = (residuals(binary, multipliers=m) for m in ("proof", "svm", "nnls"))
    assert svm.gap <= proof.gap and svm.gap <= nearest.gap
    free = residuals(binary, multipliers="nnls", max_slack=math.inf)
    assert free.epsilon <= nearest.epsilon and free.epsilon <= svm.epsilon
    # epsilon^2 / 2 and L delta are both parts of the gap
    assert svm.epsilon**2 / 2 <= svm.gap and svm.degree * svm.delta <= svm.gap + 1e-12


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_the_hard_margin_of_a_linear_model_is_a_kkt_point(norm: str) -> None:
    data = ml.datasets.gaussian(30, 5)
    net, w = ml.models.MLP([5, 1]), ml.hard_margin(data.X, data.y, norm=norm).w
    report = residuals(net, data.X, data.y, norm, multipliers="svm", theta=w)
    assert report.gap < 1e-9 * report.margin**-2 and report.delta < 1e-9 * report.margin**-2
    if norm == "l2":
        check = kernel_support_vectors(net, data.X, data.y, theta=w)
        assert check.cosine == pytest.approx(1) and check.share == pytest.approx(1)
        assert set(check.support(1e-6)) == set(check.solution.support)
        # more samples than parameters: without a limit on slack any vector passes for stationary
        other = w + 0.1 * np.random.default_rng(0).normal(size=5)
        loose = residuals(net, data.X, data.y, multipliers="nnls", max_slack=math.inf, theta=other)
        assert loose.epsilon < 1e-9 * loose.margin**-1 and loose.delta > 1


@pytest.mark.parametrize("length", [1.0, 10.0, 1000.0])
def test_a_kkt_point_need_not_be_aligned(length: float) -> None:
    """Aligned means nearly KKT; the converse is false, whatever the norm of the parameters."""
    data = ml.datasets.dataset_1()
    net, at = ml.models.MLP([2, 1]), [length, 0.0]
    best = residuals(net, data.X, data.y, multipliers="svm", theta=at)
    assert best.epsilon < 1e-12 and best.delta < 1e-12
    proof = residuals(net, data.X, data.y, theta=at)
    # all three samples weigh the same, and their mean is (0.1, -0.33)
    assert proof.alignment == pytest.approx(0.3 / math.hypot(0.3, math.sqrt(0.99)), rel=1e-12)
    assert proof.epsilon > 10


def test_the_bound_on_delta_is_tight_to_a_quarter() -> None:
    X = np.array([[1.0], [1 + 1.278e-4]])  # a linear model at 1e4: the second margin is larger by 1.278
    report = residuals(ml.models.MLP([1, 1]), X, np.ones(2), theta=[1e4])
    assert 0.75 < report.delta / report.delta_bound < 1


def test_the_reversed_divergence_says_nothing(binary: HomogeneousModel) -> None:
    for norm in ("l1", "linf"):
        assert abs(reversed_bregman(binary, binary.theta, norm)) < 1e-12
        assert residuals(binary, norm=norm).alignment < 0.95
    assert reversed_bregman(binary, binary.theta, "l2") == pytest.approx(residuals(binary).bregman, rel=1e-8)


def test_many_parameters_take_the_same_road(binary: HomogeneousModel) -> None:
    """NNLS on the triangular factor finds what NNLS on the gradients finds."""
    from scipy.optimize import nnls

    report = residuals(binary, multipliers="nnls")
    q_min = float(binary.margins(binary.theta).min())
    scaled = binary.theta / q_min ** (1 / binary.degree)
    active = report.slacks <= 0.1
    lam, distance = nnls(binary.jacobian(scaled).numpy()[active].T, scaled.numpy())
    assert report.epsilon == pytest.approx(distance) and binary.size > active.sum() + 1
    np.testing.assert_allclose(report.multipliers[active], lam, atol=1e-8)


def test_any_module_will_do() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1, bias=False))
    X = torch.randn(6, 3)
    y = torch.sign(net(X)[:, 0]).detach()
    report = residuals(net, X, y)
    assert report.degree == 2 and report.bregman == pytest.approx(
        (1 - report.alignment) / report.margin, rel=1e-9
    )
    assert "KKT(norm='l2', epsilon=" in repr(report)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"model": ml.models.MLP([3, 4, 1], "tanh")},
            "not homogeneous",
        ),
        ({"model": ml.models.MLP([3, 4, 1], bias="all", scale=1.0, seed=3)}, "not homogeneous"),
        ({"y": -np.ones(6)}, r"the model does not fit its data: 6 of 6 samples have a margin <= 0"),
        ({"y": np.arange(6)}, "labels y must be -1 or \\+1"),
        ({"model": ml.models.MLP([3, 4, 3]), "y": np.arange(6)}, "whole class indices from 0 to 2"),
        ({"norm": "spectral"}, "the spectral norm is of one matrix"),
        ({"multipliers": "all"}, "multipliers must be one of"),
        ({"multipliers": "nnls", "norm": "l1"}, "norm with multipliers='nnls' must be one of"),
        ({"multipliers": "nnls", "max_slack": -1}, "max_slack must be >= 0"),
        ({"theta": np.ones(4)}, r"theta must have shape \[16\]"),
        ({"theta": np.full(16, np.nan)}, "theta contains NaN"),
    ],
)
def test_refuses(change: dict, words: str) -> None:
    X = np.abs(np.random.default_rng(0).normal(size=(6, 3)))
    # all weights positive, so that every output is
    net = ml.models.MLP([3, 4, 1])
    with torch.no_grad():
        for p in net.parameters():
            p.abs_()
        if (other := change.get("model")) is not None and other.bias == "all":
            other.layers[1].bias.fill_(0.5)
    arguments = {"model": net, "X": X, "y": np.ones(6), **change}
    with pytest.raises(ValueError, match=words):
        residuals(**arguments)
