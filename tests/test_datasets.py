"""What the generators promise, checked by solvers that know nothing of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.optimize import nnls

from margin_lab import datasets
from margin_lab.datasets import Dataset

SETS: dict[str, Callable[[], Dataset]] = {
    "dataset_1": datasets.dataset_1,
    "dataset_1-wide": lambda: datasets.dataset_1(0.6),
    "dataset_i": lambda: datasets.dataset_i(3),
    "dataset_i-n2": lambda: datasets.dataset_i(0, n=2),
    "dataset_i-large": lambda: datasets.dataset_i(1, n=300, d=7, gamma=0.2),
    "dataset_ii": lambda: datasets.dataset_ii(1),
    **{
        f"prescribed-{k}-{d}": lambda k=k, d=d: datasets.prescribed_support(k, n=40, d=d, seed=k)
        for k, d in ((1, 1), (1, 5), (2, 2), (2, 3), (5, 5), (4, 12), (10, 30))
    },
    "prescribed-all": lambda: datasets.prescribed_support(6, n=6, gamma=0.3, slack=0.01),
}
GENERIC: dict[str, Callable[[], Dataset]] = {
    "gaussian": lambda: datasets.gaussian(seed=2),
    "gaussian-1": lambda: datasets.gaussian(1, 1),
    "digits": datasets.digits_pair,
    "digits-3-8": lambda: datasets.digits_pair(3, 8),
}


def min_norm_point(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The min-norm point ``gamma* w*`` of the convex hull of the rows, and its weights, by NNLS.

    ``min ||Z^T a||^2 + (1 - sum a)^2`` over ``a >= 0`` has its minimum at a positive multiple of the weights.
    """
    A = np.vstack([Z.T, np.ones(len(Z))])
    weights, _ = nnls(A, np.append(np.zeros(Z.shape[1]), 1.0), maxiter=50 * len(Z))
    weights /= weights.sum()
    return Z.T @ weights, weights


@pytest.mark.parametrize("name", [*SETS, *GENERIC])
def test_form(name: str) -> None:
    data = {**SETS, **GENERIC}[name]()
    n, d = data.X.shape
    assert data.y.shape == (n,)
    assert data.X.dtype == data.y.dtype == np.float64
    assert set(np.unique(data.y)) <= {-1.0, 1.0}
    assert np.isfinite(data.X).all()
    assert np.linalg.norm(data.X, axis=1).max() <= 1 + 1e-15
    np.testing.assert_array_equal(data.Z, data.y[:, None] * data.X)
    assert data.name
    if name in SETS:
        assert data.w_star is not None
        assert data.w_star.shape == (d,)
        assert np.linalg.norm(data.w_star) == pytest.approx(1, rel=1e-14)
    else:
        assert data.w_star is None
        assert data.margin is None


@pytest.mark.parametrize("name", SETS)
def test_the_known_answer_is_the_answer(name: str) -> None:
    data = SETS[name]()
    assert data.margin is not None
    assert data.w_star is not None
    point, _ = min_norm_point(data.Z)
    assert np.linalg.norm(point) == pytest.approx(data.margin, rel=1e-9)
    np.testing.assert_allclose(point / np.linalg.norm(point), data.w_star, atol=1e-8)
    assert (data.Z @ data.w_star).min() == pytest.approx(data.margin, rel=1e-12)


@pytest.mark.parametrize("make", [datasets.dataset_i, datasets.dataset_ii, datasets.gaussian])
def test_seeds(make: Callable[..., Dataset]) -> None:
    first, again, other = make(seed=4), make(seed=4), make(seed=5)
    np.testing.assert_array_equal(first.X, again.X)
    np.testing.assert_array_equal(first.y, again.y)
    assert not np.array_equal(first.X, other.X)
    np.random.seed(0)  # noqa: NPY002  (the global generator is neither used nor touched)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make(seed=4)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("gamma", [0.01, 0.1, 0.9])
def test_dataset_1(gamma: float) -> None:
    data, s = datasets.dataset_1(gamma), math.sqrt(1 - gamma**2)
    np.testing.assert_array_equal(data.Z, [[gamma, s], [gamma, -s], [gamma, s]])
    assert data.y.tolist() == [1, 1, -1]
    assert data.margin == gamma
    np.testing.assert_allclose(np.linalg.norm(data.X, axis=1), 1)


def test_datasets_i_and_ii() -> None:
    first, second = datasets.dataset_i(), datasets.dataset_ii()
    assert first.X.shape == (100, 2)
    assert second.X.shape == (1000, 10)
    for data in (first, second):
        assert data.margin == math.sin(math.pi / 100)
        np.testing.assert_allclose(np.linalg.norm(data.X, axis=1), 1, rtol=1e-14)
        np.testing.assert_array_equal(data.y, np.sign(data.X[:, 0]))
        assert (data.X[0, 1] > 0) != (data.X[1, 1] > 0)
        np.testing.assert_array_equal(data.X[0, 0], data.X[1, 0])
        # two support vectors, which are mirror images: generic data has none so symmetric
        q = data.Z @ data.w_star
        assert (q < data.margin * (1 + 1e-9)).sum() == 2
        assert 0.3 < (data.y > 0).mean() < 0.7


def test_dataset_i_is_uniform_on_the_sphere_given_its_margin() -> None:
    angles = np.arctan2(*datasets.dataset_i(n=8000).Z[2:].T)  # from the second axis: in (pi/100, 99 pi/100)
    counts = np.histogram(angles, bins=7, range=(math.pi / 100, 99 * math.pi / 100))[0]
    assert counts.sum() == 7998
    assert ((counts - 7998 / 7) ** 2 / (7998 / 7)).sum() < 22.5  # chi^2 with 6 degrees of freedom, 0.1 %


@pytest.mark.parametrize(("support", "n", "d"), [(1, 20, 4), (2, 20, 2), (3, 60, 8), (8, 50, 8), (6, 6, 6)])
@pytest.mark.parametrize("seed", range(3))
def test_prescribed_support_vectors(support: int, n: int, d: int, seed: int) -> None:
    gamma, slack = 0.12, 0.3
    data = datasets.prescribed_support(support, n, d, gamma, seed, slack)
    assert data.X.shape == (n, d)
    q = data.Z @ data.w_star
    on = q < gamma * (1 + slack / 2)
    assert on.sum() == support
    np.testing.assert_allclose(q[on], gamma, rtol=1e-12)
    assert (q[~on] >= (1 + slack) * gamma * (1 - 1e-12)).all()
    # all of them carry weight, they are affinely independent, and span a space with w* in it
    _, weights = min_norm_point(data.Z)
    assert (weights[on] > 1e-3).all()
    assert np.abs(weights[~on]).max(initial=0) < 1e-9
    S = data.Z[on]
    assert np.linalg.matrix_rank(S) == support
    np.testing.assert_allclose(S.T @ np.linalg.lstsq(S.T, data.w_star)[0], data.w_star, atol=1e-10)
    again = datasets.prescribed_support(support, n, d, gamma, seed, slack)
    np.testing.assert_array_equal(again.X, data.X)


def test_prescribed_support_spans_the_space_by_default() -> None:
    assert datasets.prescribed_support(7).X.shape == (50, 7)


def test_gaussian() -> None:
    data = datasets.gaussian(60, 5, seed=3)
    assert data.X.shape == (60, 5)
    assert np.linalg.norm(data.X, axis=1).max() == pytest.approx(1, rel=1e-15)
    assert np.linalg.norm(min_norm_point(data.Z)[0]) > 1e-4  # separable: 0 is not in the hull


def test_digits() -> None:
    from sklearn.datasets import load_digits

    pixels, digit = load_digits(return_X_y=True)
    data = datasets.digits_pair(2, 7)
    assert len(data.y) == ((digit == 2) | (digit == 7)).sum()
    assert (data.y == 1).sum() == (digit == 7).sum()
    assert data.X.any(axis=0).all()
    assert np.linalg.norm(data.X, axis=1).max() == pytest.approx(1, rel=1e-15)
    rows = pixels[(digit == 2) | (digit == 7)]
    np.testing.assert_allclose(data.X / data.X.max(), rows[:, rows.any(0)] / rows.max(), rtol=1e-14)
    assert datasets.digits_pair().name == "digits 0 and 1"
    np.testing.assert_array_equal(datasets.digits_pair(7, 2).y, -data.y)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: datasets.dataset_1(0.0), "gamma must be between 0 and 1, got 0.0"),
        (lambda: datasets.dataset_1(1.0), "gamma must be between 0 and 1, got 1.0"),
        (lambda: datasets.dataset_1(math.nan), "gamma must be between 0 and 1, got nan"),
        (lambda: datasets.dataset_i(gamma=2), "gamma must be between 0 and 1, got 2"),
        (lambda: datasets.dataset_i(n=1), "n must be a whole number >= 2, got 1"),
        (lambda: datasets.dataset_i(d=1), "d must be a whole number >= 2, got 1"),
        (lambda: datasets.dataset_i(n=10.5), "n must be a whole number >= 2, got 10.5"),
        (lambda: datasets.dataset_i(seed=-1), "seed must be a whole number >= 0, got -1"),
        (
            lambda: datasets.dataset_i(d=200, gamma=0.9),
            r"almost no point of the sphere in R\^200 has .* >= 0.9; lower gamma or d",
        ),
        (lambda: datasets.prescribed_support(0), "support must be a whole number >= 1, got 0"),
        (
            lambda: datasets.prescribed_support(5, d=4),
            "support must be at most n and d, got support=5, n=50, d=4",
        ),
        (
            lambda: datasets.prescribed_support(5, n=4),
            "support must be at most n and d, got support=5, n=4, d=5",
        ),
        (
            lambda: datasets.prescribed_support(2, slack=0),
            "slack must be > 0 with .* < 1, got slack=0, gamma=0.1",
        ),
        (
            lambda: datasets.prescribed_support(2, gamma=0.9),
            "slack must be > 0 with .* < 1, got slack=0.2, gamma=0.9",
        ),
        (lambda: datasets.gaussian(0), "n must be a whole number >= 1, got 0"),
        (
            lambda: datasets.digits_pair(3, 3),
            r"digits_pair needs two different digits from 0 to 9, got \(3, 3\)",
        ),
        (
            lambda: datasets.digits_pair(3, 10),
            r"digits_pair needs two different digits from 0 to 9, got \(3, 10\)",
        ),
        (lambda: datasets.digits_pair(-1, 1), "negative must be a whole number >= 0, got -1"),
    ],
)
def test_errors(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
