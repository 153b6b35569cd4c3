"""Data that no hyperplane through 0 separates: refused with a certificate, and never confused with a tiny margin."""

import math
import pickle

import numpy as np
import pytest
from hard_margin_checks import DUAL, METHODS, NORMS, bounds_of, gaussian, norm_of, random_labels, solve

from margin_lab.hard_margins import NotSeparableError

LONG_DOUBLE = np.finfo(np.longdouble).eps < 1e-18  # not so on Windows and on ARM

NOT_SEPARABLE = {
    "opposed points": lambda: np.array([[1.0, 2.0], [-1.0, -2.0]]),
    "contradictory duplicates": lambda: np.vstack([gaussian(50, 10), -gaussian(50, 10)[:1]]),
    "zero row": lambda: np.vstack([gaussian(50, 10), np.zeros((1, 10))]),
    "all zero": lambda: np.zeros((3, 2)),
    "xor": lambda: np.array([[1.0, 1], [-1, -1], [-1, 1], [1, -1]]) * [[1.0], [1], [-1], [-1]],
    "no bias on one side": lambda: np.array([[2.0, 0.0], [-1.0, 0.0]]),
    "random labels": random_labels,
    "random labels, uneven columns": lambda: random_labels() * 10 ** np.linspace(-2, 2, 10),
    "triangle around 0": lambda: np.array([[math.cos(t), math.sin(t)] for t in (0, 2.1, 4.2)]),
    "gamma below rounding": lambda: np.array([[1.0, 1e-16], [-1.0, 1e-16]]),
    "1e-200": lambda: 1e-200 * random_labels(),
}


@pytest.mark.parametrize(("norm", "method"), METHODS)
@pytest.mark.parametrize("name", NOT_SEPARABLE)
def test_not_separable(name, norm, method):
    Z = NOT_SEPARABLE[name]()
    with pytest.raises(NotSeparableError, match=r"not linearly separable.*\|\|Z'p\|\|.*bias=True") as e:
        solve(Z, norm=norm, method=method)
    p = e.value.certificate
    assert p.shape == (len(Z),)
    assert p.min() >= 0
    assert p.sum() == pytest.approx(1, abs=1e-12)
    scale = np.abs(Z).max() or 1.0
    residual = norm_of(p @ (Z / scale).astype(np.longdouble), DUAL[norm])
    size = p @ np.array([norm_of(z / scale, DUAL[norm]) for z in Z])
    assert residual <= 2e-13 * size
    assert e.value.residual / scale == pytest.approx(float(residual), abs=1e-14 * size)
    assert isinstance(e.value, ValueError)
    again = pickle.loads(pickle.dumps(e.value))
    assert str(again) == str(e.value)
    assert again.residual == e.value.residual


def test_not_separable_large():
    Z = np.random.default_rng(1).standard_normal((5000, 50))
    for norm in ("l2", "linf"):
        with pytest.raises(NotSeparableError):
            solve(Z, norm=norm)


def test_contradiction_in_large_data():
    Z = gaussian(5000, 50)
    with pytest.raises(NotSeparableError):
        solve(np.vstack([Z, -Z[:1]]))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("gamma", [1e-2, 1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-14, 1e-16])
def test_tiny_margins_are_not_mislabelled(gamma, norm):
    """A rotated Dataset 1: the rounding of the data alone moves gamma* by 1e-16."""
    t = 0.3
    h = math.sqrt(1 - gamma * gamma)
    Z = np.array([[gamma, h], [gamma, -h]]) @ np.array(
        [[math.cos(t), math.sin(t)], [-math.sin(t), math.cos(t)]]
    )
    try:
        sol = solve(Z, norm=norm)
    except NotSeparableError:
        assert gamma < 1e-12
        return
    lower, upper = bounds_of(Z, sol)
    if LONG_DOUBLE:
        assert upper - lower <= 1.01 * sol.gap * sol.margin
    assert sol.gap >= 1e-16 / gamma
    assert sol.status == ("certified" if sol.gap <= 1e-10 else "rounding floor")
    assert sol.status == "certified" or gamma < 1e-5
