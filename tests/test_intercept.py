"""Hard margins with an intercept: both bounds re-evaluated, other programs for the same problem, and what cannot be."""

import itertools
import pickle

import numpy as np
import pytest
import torch
from hard_margin_checks import DUAL, NORMS, norm_of

import margin_lab as ml

# Margin 1 at x_1 = 4; with a column of ones the separator is another one, .69 away from the samples.
PLANE = np.array([[5.5, 3.5], [5.0, 3.5], [5.5, 1.0], [3.0, 3.5], [3.0, 3.5]])
LABELS = np.array([1.0, 1, 1, -1, -1])


def shifted(seed: int, n: int = 40, d: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X, w = rng.standard_normal((n, d)) * np.exp(rng.standard_normal(d)), rng.standard_normal(d)
    y = np.where(X @ w > 0.5, 1.0, -1.0)
    y[np.argmax(X @ w)], y[np.argmin(X @ w)] = 1, -1
    return X + 3 * rng.standard_normal(d), y


def check(X: np.ndarray, y: np.ndarray, sol: ml.HardMargin) -> None:
    """All that an answer promises, in long double."""
    X, y, w, p = (np.asarray(a, dtype=np.longdouble) for a in (X, y, sol.w, sol.dual))
    lower = (y * (X @ w + np.longdouble(sol.b))).min() / norm_of(w, sol.norm)
    upper = norm_of((p * y) @ X, DUAL[sol.norm])
    assert sol.status == "certified" and 0 < sol.gap <= 1e-10
    assert float(lower) == pytest.approx(sol.margin, rel=1e-12)
    assert float(upper) == pytest.approx(sol.upper_bound, rel=1e-10)
    assert p.min() >= 0 and float(p[y > 0].sum()) == pytest.approx(0.5) == float(p[y < 0].sum())
    assert abs(float(p @ y)) < 1e-15 * len(y)
    np.testing.assert_array_equal(sol.predict(np.asarray(X, float)), np.asarray(y, float))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("seed", range(4))
def test_both_bounds_are_what_they_claim(seed: int, norm: str) -> None:
    X, y = shifted(seed)
    check(X, y, ml.hard_margin(X, y, norm, bias=True))


@pytest.mark.parametrize("norm", NORMS)
def test_a_margin_of_differences(norm: str) -> None:
    """Half the margin of all x_i - x_j, i positive and j negative, that needs no intercept."""
    for seed in (5, 6):
        X, y = shifted(seed, 12, 3)
        D = np.array([a - b for a, b in itertools.product(X[y > 0], X[y < 0])])
        wanted = ml.hard_margin(D, np.ones(len(D)), norm).margin / 2
        assert ml.hard_margin(X, y, norm, bias=True).margin == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("norm", NORMS)
def test_where_the_origin_is_does_not_matter(norm: str) -> None:
    X, y = shifted(7)
    sol, moved = (
        ml.hard_margin(X, y, norm, bias=True),
        ml.hard_margin(X + np.array([4, -2, 8, 0, 1]), y, norm, bias=True),
    )
    assert moved.margin == pytest.approx(sol.margin, rel=1e-10)
    np.testing.assert_allclose(moved.w, sol.w, atol=1e-5)
    assert moved.b == pytest.approx(sol.b - sol.w @ [4, -2, 8, 0, 1], abs=1e-4)
    turned = ml.hard_margin(X, -y, norm, bias=True)
    assert turned.margin == pytest.approx(sol.margin, rel=1e-10) and turned.b == pytest.approx(
        -sol.b, abs=1e-5
    )


def test_by_hand() -> None:
    sol = ml.hard_margin([[1.0, 0.0], [3.0, 0.0], [3.0, 2.0]], [-1, 1, 1], bias=True)
    np.testing.assert_allclose(sol.w, [1, 0], atol=1e-9)
    assert sol.b == pytest.approx(-2) and sol.margin == pytest.approx(1)
    assert set(sol.on_margin) >= {0, 1}


def test_the_ones_column_gives_another_separator() -> None:
    sol = ml.hard_margin(PLANE, LABELS, bias=True)
    check(PLANE, LABELS, sol)
    ones = ml.hard_margin(np.hstack([PLANE, np.ones((5, 1))]), LABELS)
    assert sol.margin == pytest.approx(1) and sol.b == pytest.approx(-4)
    distance = ones.margin / np.linalg.norm(ones.w[:2])  # of its hyperplane to the samples, in the plane
    assert distance == pytest.approx(0.6874, abs=1e-4)
    ones = ml.hard_margin(np.hstack([PLANE + np.array([30, 10]), np.ones((5, 1))]), LABELS)
    assert ones.margin / np.linalg.norm(ones.w[:2]) < distance  # and it depends on where the origin is


def test_containers() -> None:
    X, y = shifted(1)
    sol = ml.hard_margin(torch.tensor(X, dtype=torch.float32), torch.tensor(y), bias=True)
    assert sol.w.dtype == sol.dual.dtype == torch.float32 and type(sol.b) is float
    assert isinstance(sol.predict(torch.tensor(X)), torch.Tensor)
    assert ml.hard_margin(X, y, bias=False).b == 0 if ml.hard_margin(X + 9, y, bias=True).b else False


@pytest.mark.parametrize("norm", NORMS)
def test_no_hyperplane(norm: str) -> None:
    """Exclusive or, off the origin: Gordan's weights vanish with the constant column, too."""
    X = np.array([[1.0, 1], [3, 3], [1, 3], [3, 1], [9, 9]])
    y = np.array([1.0, 1, -1, -1, 1])
    with pytest.raises(
        ml.NotSeparableError, match=r"not linearly separable, so.*soft_margin.*conflicting"
    ) as caught:
        ml.hard_margin(X, y, norm, bias=True)
    p = caught.value.certificate
    assert p.min() >= 0 and p.sum() == pytest.approx(1)
    assert abs(p @ y) < 1e-14 and np.abs((p * y) @ X).max() < 1e-13
    assert set(caught.value.conflicting) <= {0, 1, 2, 3, 4} and len(caught.value.conflicting) >= 3
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    ml.soft_margin(X, y, bias=True)  # the advice can be followed


def test_separable_with_an_intercept_only() -> None:
    """The advice of the error is followed."""
    X, y = np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]]), np.array([-1, -1, 1])
    with pytest.raises(ml.NotSeparableError, match=r"an intercept \(bias=True\)") as caught:
        ml.hard_margin(X, y)
    weights = caught.value.certificate
    np.testing.assert_array_equal(
        caught.value.conflicting, np.argsort(-weights, kind="stable")[: (weights > 0).sum()]
    )
    assert ml.hard_margin(X, y, bias=True).margin == pytest.approx(np.sqrt(2))


def test_one_class() -> None:
    with pytest.raises(ValueError, match=r"bias=True needs samples of both labels, got \+1 only"):
        ml.hard_margin(np.eye(2), [1, 1], bias=True)
    with pytest.raises(ValueError, match=r"needs samples of both labels, got -1 only"):
        ml.soft_margin(np.eye(2), [-1, -1], bias=True)
