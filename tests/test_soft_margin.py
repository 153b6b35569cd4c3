"""The soft margin: both bounds re-evaluated, limits that are known, and scikit-learn."""

import math

import numpy as np
import pytest
import torch

import margin_lab as ml
from margin_lab.hard_margins import interior_point, soft

LONG = np.longdouble


def noisy(seed: int, n: int = 60, d: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) + 0.5
    y = np.where(X @ rng.standard_normal(d) + rng.standard_normal(n) > 0.5, 1.0, -1.0)
    y[:2] = 1, -1
    return X, y


def check(X: np.ndarray, y: np.ndarray, sol: ml.SoftMargin, bias: bool) -> None:
    X, y, w, p = (np.asarray(a, dtype=LONG) for a in (X, y, sol.w, sol.dual))
    slacks = np.maximum(1 - y * (X @ w + LONG(sol.b)), 0)
    primal = w @ w / 2 + LONG(sol.C) * slacks.sum()
    g = (p * y) @ X
    bound = p.sum() - g @ g / 2
    assert sol.status == "certified" and 0 < sol.gap <= 1e-10
    assert float(primal) == pytest.approx(sol.primal, rel=1e-11)
    assert float(bound) == pytest.approx(sol.dual_bound, rel=1e-10)
    assert float(bound) <= float(primal) * (1 + 1e-14)
    assert p.min() >= 0 and float(p.max()) <= sol.C
    if bias:
        assert abs(float(p @ y)) <= 1e-14 * float(p.sum())
    np.testing.assert_allclose(sol.slacks, slacks.astype(float), atol=1e-9)
    assert sol.margin == pytest.approx(1 / float(np.sqrt(w @ w)))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("C", [1e-4, 1e-2, 1.0, 1e2, 1e4])
def test_both_bounds_are_what_they_claim(C: float, bias: bool) -> None:
    for seed, shape in enumerate([(60, 5), (20, 40), (7, 2)]):
        X, y = noisy(seed, *shape)
        check(X, y, ml.soft_margin(X, y, C, bias=bias), bias)


def test_by_hand() -> None:
    """Two samples of one feature: w = 1/2 for large C, w = 2 C while both slacks are positive."""
    X, y = [[2.0], [-2.0]], [1, -1]
    assert ml.soft_margin(X, y, 10.0).w == pytest.approx([0.5])
    sol = ml.soft_margin(X, y, 0.01)
    assert sol.w == pytest.approx([0.04]) and sol.slacks == pytest.approx([0.92, 0.92])
    assert sol.primal == pytest.approx(0.0008 + 0.0184)


@pytest.mark.parametrize("bias", [False, True])
def test_a_large_price_of_slack_gives_the_hard_margin(bias: bool) -> None:
    data = ml.datasets.gaussian(40, 5, seed=1)
    hard = ml.hard_margin(data.X, data.y, bias=bias)
    sol = ml.soft_margin(data.X, data.y, 1e6, bias=bias)
    assert sol.status == "certified"
    np.testing.assert_allclose(sol.w * hard.margin, hard.w, atol=1e-6)
    assert sol.margin == pytest.approx(hard.margin, rel=1e-8)
    np.testing.assert_array_equal(sol.predict(data.X), data.y)


def test_against_scikit_learn() -> None:
    from sklearn.svm import SVC

    X, y = noisy(3)
    sol = ml.soft_margin(X, y, 0.5, bias=True)
    model = SVC(C=0.5, kernel="linear", tol=1e-10).fit(X, y)
    np.testing.assert_allclose(sol.w, model.coef_[0], atol=1e-6)
    assert sol.b == pytest.approx(model.intercept_[0], abs=1e-6)


def test_the_best_intercept_of_a_direction() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        n = int(rng.integers(2, 9))
        y = np.append([1.0, -1.0], rng.choice([-1.0, 1.0], n - 2))
        scores = y * rng.standard_normal(n)
        losses = lambda b: np.maximum(1 - scores - y * b, 0).sum()  # noqa: B023, E731
        best = losses(soft.best_intercept(scores, y))
        assert best <= min(map(losses, np.linspace(-5, 5, 401))) + 1e-12


def test_types_and_scale() -> None:
    X, y = noisy(4)
    sol = ml.soft_margin(torch.tensor(X, dtype=torch.float32), torch.tensor(y), bias=True)
    assert sol.w.dtype == sol.dual.dtype == sol.slacks.dtype == torch.float32 and type(sol.b) is float
    plain = ml.soft_margin(X, y, 1.0)
    for scale in (1e-30, 1e30):  # w / scale, and the objective divided by its square
        scaled = ml.soft_margin(scale * X, y, 1 / scale**2)
        assert scaled.status == "certified"
        np.testing.assert_allclose(scaled.w * scale, plain.w, rtol=1e-7)
    assert ml.soft_margin(np.zeros((3, 2)), [1, 1, -1]).margin == math.inf


def test_a_solver_that_stops_early_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interior_point, "ITERATIONS", 2)
    X, y = noisy(5)
    sol = ml.soft_margin(X, y)
    assert sol.status == "limit" and 1e-10 < sol.gap < math.inf
    assert 0 <= sol.dual_bound <= sol.primal


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"C": 0.0}, "C must be > 0"),
        ({"C": math.inf}, "C must be > 0 and finite"),
        ({"tol": -1.0}, "tol must be > 0"),
        ({"y": [0, 1]}, "labels y must be -1 or"),
    ],
)
def test_wrong_arguments(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ml.soft_margin(**({"X": np.eye(2), "y": [1, -1]} | options))
