"""Hard margins: certificates re-evaluated in long double, brute force on small problems, extreme scales."""

import itertools
import math

import numpy as np
import pytest
from hard_margin_checks import METHODS, NORMS, check, dataset_1, gaussian, near_duplicates, norm_of, solve

from margin_lab.hard_margins import hard_margin


def digits(a, b):
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    keep = (y == a) | (y == b)
    return X[keep] / 16 * np.where(y[keep] == a, 1.0, -1.0)[:, None]


def rank_deficient():
    return gaussian(100, 5) @ np.random.default_rng(4).standard_normal((5, 30))


def uneven_rows():
    return gaussian(60, 8) * 10 ** np.random.default_rng(5).uniform(-2, 2, (60, 1))


DATA = {
    "dataset 1": dataset_1,
    "gaussian 50x10": lambda: gaussian(50, 10),
    "gaussian 200x50": lambda: gaussian(200, 50),
    "gaussian 400x3": lambda: gaussian(400, 3),
    "gaussian 20x300": lambda: gaussian(20, 300),
    "digits 0/1": lambda: digits(0, 1),
    "digits 3/6": lambda: digits(3, 6),
    "digits 8/9": lambda: digits(8, 9),
    "one point": lambda: np.array([[3.0, -4.0, 0.0]]),
    "one feature": lambda: np.array([[2.0], [0.5], [3.0]]),
    "equal rows": lambda: np.tile([[1.0, 2.0]], (7, 1)),
    "duplicates": lambda: np.repeat(gaussian(40, 8), 3, 0),
    "near-duplicates": near_duplicates,
    "rank-deficient": rank_deficient,
    "lattice": lambda: np.array([[a, b, 2.0] for a in (-1, 0, 1) for b in (-1, 0, 1)]),
    "constant column": lambda: np.hstack([gaussian(50, 4), np.zeros((50, 1))]),
    "uneven rows": uneven_rows,
    "uneven columns": lambda: gaussian(200, 20) * 10 ** np.linspace(-2, 2, 20),
}


@pytest.mark.parametrize(("norm", "method"), METHODS)
@pytest.mark.parametrize("name", DATA)
def test_certified(name, norm, method):
    Z = DATA[name]()
    check(Z, solve(Z, norm=norm, method=method))


@pytest.mark.parametrize(
    ("n", "d", "norm"), [(n, d, k) for n, d in ((2000, 100), (200, 5000)) for k in NORMS]
)
def test_certified_large(n, d, norm):
    Z = gaussian(n, d)
    check(Z, solve(Z, norm=norm))


def test_certified_20000x100():
    Z = gaussian(20_000, 100)
    sol = solve(Z)
    check(Z, sol)
    assert sol.method == "daqp"


def test_known_answers():
    sol = hard_margin(dataset_1(), np.ones(3))
    assert sol.margin == pytest.approx(math.sin(math.pi / 100), rel=1e-14)
    np.testing.assert_allclose(sol.w, [1, 0], atol=1e-14)
    z = np.array([[3.0, -4.0]])  # one point: gamma* is its dual norm
    assert [hard_margin(z, [1], norm=k).margin for k in NORMS] == pytest.approx([4, 5, 7], rel=1e-14)


def brute_force_l2(Z):
    """gamma* by trying every support set: w = min-norm solution of Z_S w = 1 with multipliers >= 0, feasible."""
    best = 0.0
    for k in range(1, min(Z.shape[1], len(Z)) + 1):
        for S in map(list, itertools.combinations(range(len(Z)), k)):
            w = np.linalg.pinv(Z[S]) @ np.ones(k)
            if (Z @ w).min() > 0:
                best = max(best, (Z @ w).min() / np.linalg.norm(w))
    return best


def brute_force_plane(Z, norm):
    """gamma* in two dimensions: on an edge of the ball min(Zw) peaks at a corner or where two rows agree."""
    corners = np.array(
        [[1, 0], [0, 1], [-1, 0], [0, -1]] if norm == "l1" else [[1, 1], [-1, 1], [-1, -1], [1, -1]]
    )
    candidates = list(corners.astype(float))
    for a, b in itertools.combinations(Z, 2):
        v = np.array([-(a - b)[1], (a - b)[0]])
        if v.any():
            candidates += [v / norm_of(v, norm), -v / norm_of(v, norm)]
    return max((Z @ w).min() for w in candidates)


@pytest.mark.parametrize("seed", range(12))
def test_against_brute_force(seed):
    Z = gaussian(7, 2 + seed % 3, seed)
    for method in ("daqp", "proximal"):
        assert solve(Z, method=method).margin == pytest.approx(brute_force_l2(Z), rel=2e-10)
    Z = gaussian(9, 2, seed)
    for norm in ("l1", "linf"):
        assert solve(Z, norm=norm).margin == pytest.approx(brute_force_plane(Z, norm), rel=2e-10)


@pytest.mark.parametrize(("norm", "method"), METHODS)
@pytest.mark.parametrize("scale", [1e-200, 1e-20, 1e20, 1e150])
def test_extreme_scales(scale, norm, method):
    Z = gaussian(50, 10)
    one, sol = solve(Z, norm=norm, method=method), solve(scale * Z, norm=norm, method=method)
    check(scale * Z, sol)
    assert sol.margin / scale == pytest.approx(one.margin, rel=1e-10)


@pytest.mark.parametrize("norm", NORMS)
def test_rows_of_wildly_different_size(norm):
    """Rows that are 1e200 times longer than the others and not in their way change nothing."""
    Z = gaussian(30, 5)
    one = solve(Z, norm=norm)
    extra = 1e150 * (one.w + 1e-3 * np.arange(5))[None]
    both = solve(np.vstack([1e-50 * Z, extra]), norm=norm)
    assert both.status == "certified"
    assert both.margin == pytest.approx(1e-50 * one.margin, rel=1e-10)


def test_gap_is_never_zero():
    for norm in NORMS:
        sol = hard_margin(np.array([[1.0, 0.0], [1.0, 0.0]]), [1, 1], norm=norm, tol=1e-14)
        assert 0 < sol.gap < 1e-14


def test_tolerance_out_of_reach_is_the_rounding_floor():
    for norm in NORMS:
        sol = solve(gaussian(50, 10), norm=norm, tol=1e-18)
        assert sol.status == "rounding floor"
        assert 0 < sol.gap < 1e-12
