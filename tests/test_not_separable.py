"""Data that no hyperplane through 0 separates: refused with a proof, and never confused with a tiny margin."""

import math
import pickle
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hard_margin_checks import DUAL, METHODS, NORMS, bounds_of, gaussian, norm_of, random_labels, solve

from margin_lab.hard_margins import NotSeparableError

EPS = float(np.finfo(float).eps)
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
    gap_of_exact = exact_separability(Z)
    if not gap_of_exact:
        with pytest.raises(NotSeparableError):
            solve(Z, norm=norm)
        return
    sol = solve(Z, norm=norm)
    assert sol.status == "certified"
    assert 0 < sol.gap <= 1e-10
    if LONG_DOUBLE and sol.interval is None:
        lower, upper = bounds_of(Z, sol)
        assert upper - lower <= 1.01 * sol.gap * sol.margin
    if norm == "l2":
        # without rational arithmetic both bounds carry the rounding error of one product with rows of length 1
        slack = Decimal(4 * EPS if sol.interval is None else 0.0)
        assert Decimal(sol.margin) - slack <= closest_on_segment(*Z) <= Decimal(sol.upper_bound) + slack


def exact_separability(Z):
    """Two rows in the plane fail only where they point to opposite sides: in rationals."""
    (a, b), (c, d) = [[Fraction(float(x)) for x in row] for row in Z]
    return a * d != b * c or a * c + b * d > 0


def closest_on_segment(z1, z2):
    """The distance of a segment in the plane from the origin, to 40 digits."""
    a, b = ([Fraction(float(x)) for x in z] for z in (z1, z2))
    v = [y - x for x, y in zip(a, b, strict=True)]
    t = -(a[0] * v[0] + a[1] * v[1]) / (v[0] ** 2 + v[1] ** 2)
    t = min(max(t, 0), 1)
    x, y = a[0] + t * v[0], a[1] + t * v[1]
    with localcontext(prec=40):
        square = x * x + y * y
        return (Decimal(square.numerator) / Decimal(square.denominator)).sqrt()
