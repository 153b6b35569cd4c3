"""What a certified hard margin promises, checked in long double, and data to solve."""

import math

import numpy as np
import pytest

from margin_lab.hard_margins import hard_margin

NORMS = ("l1", "l2", "linf")
DUAL = {"l1": "linf", "l2": "l2", "linf": "l1"}
METHODS = (("l1", "highs"), ("l2", "daqp"), ("l2", "proximal"), ("linf", "highs"))


def norm_of(v, norm):
    v = np.abs(v)
    return {"l1": v.sum(), "l2": np.sqrt((v * v).sum()), "linf": v.max()}[norm]


def bounds_of(Z, sol):
    """Both bounds from sol.w and sol.dual, in long double."""
    Z, w, p = (np.asarray(a, dtype=np.longdouble) for a in (Z, sol.w, sol.dual))
    return (Z @ w).min() / norm_of(w, sol.norm), norm_of(p @ Z, DUAL[sol.norm]) / p.sum()


def solve(Z, **options):
    """Solve for signed rows Z under random labels."""
    y = np.where(np.random.default_rng(len(Z)).random(len(Z)) < 0.5, -1.0, 1.0)
    return hard_margin(Z * y[:, None], y, **options)


def check(Z, sol, tol=1e-10):
    """Everything that a certified solution promises, in arithmetic that is finer than the solver's."""
    lower, upper = bounds_of(Z, sol)
    assert sol.status == "certified"
    assert 0 < sol.gap <= tol
    assert -1e-16 * sol.margin < upper - lower  # weak duality holds whatever the rounding
    assert float((upper - lower) / lower) <= sol.gap + 1e-14
    assert sol.margin == pytest.approx(float(lower), rel=tol)
    assert sol.upper_bound == pytest.approx(float(upper), rel=tol)
    assert norm_of(sol.w, sol.norm) == pytest.approx(1, abs=1e-14)
    assert sol.dual.min() >= 0
    assert sol.dual.sum() == pytest.approx(1, abs=1e-13)
    # Complementary slackness: the mean excess of the margins under dual is what is left of the gap.
    excess = np.asarray(Z) @ sol.w - sol.margin
    assert sol.dual @ excess <= 2 * tol * sol.margin
    assert set(np.flatnonzero(sol.dual > 1e-10 * sol.dual.max())) == set(sol.support)
    if sol.norm == "l2":  # w is along Z'dual, to the square root of the gap
        assert norm_of(sol.dual @ Z - sol.margin * sol.w, "l2") <= math.sqrt(2.1 * sol.gap) * sol.margin


def gaussian(n, d, seed=0):
    rng = np.random.default_rng(seed)
    X, w = rng.standard_normal((n, d)), rng.standard_normal(d)
    return X * np.where(X @ w >= 0, 1.0, -1.0)[:, None]


def dataset_1():
    gamma = math.sin(math.pi / 100)
    h = math.sqrt(1 - gamma * gamma)
    return np.array([[gamma, h], [gamma, -h], [gamma, -h]])


def near_duplicates():
    rng = np.random.default_rng(3)
    return np.repeat(gaussian(60, 15, 5), 5, 0) + 1e-6 * rng.standard_normal((300, 15))


def random_labels():
    rng = np.random.default_rng(0)
    return rng.standard_normal((200, 10))
