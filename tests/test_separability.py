"""Verdicts: the same in every norm and under every scaling, and each with its proof."""

from fractions import Fraction

import numpy as np
import pytest
from hard_margin_checks import NORMS, gaussian, norm_of

from margin_lab.hard_margins import NotSeparableError, hard_margin, separability
from margin_lab.hard_margins.closest_point import ClosestPoint
from margin_lab.hard_margins.exact_arithmetic import integers, least_sign, powers_of_two, quotient, reduce

SEPARABLE = {  # rows, and the margin in l1, l2, linf
    "1e-16": ([[1, 1e-16], [-1, 1e-16]], (1e-16, 1e-16, 1e-16)),
    "1e-8 beside 1e8": ([[1e8, 1e-8], [-1e8, 1e-8]], (1e-8, 1e-8, 1e-8)),
}


def verdicts(Z):
    """Whether Z is separable, in each norm."""
    out = []
    for norm in NORMS:
        try:
            sol = hard_margin(Z, np.ones(len(Z)), norm=norm)
        except NotSeparableError as error:
            p = error.certificate
            assert p.min() >= 0 and p.sum() == pytest.approx(1)
            # eps times the terms: nothing but the rounding of p is left
            assert (np.abs(p @ Z) <= 1e-12 * (p @ np.abs(Z))).all()
            out.append(False)
        else:
            assert sol.status == "certified"
            assert 0 < sol.gap <= 1e-10
            assert 0 < sol.margin <= sol.upper_bound
            out.append(True)
    return out


@pytest.mark.parametrize("name", SEPARABLE)
def test_a_tiny_margin_is_a_margin(name):
    rows, margins = SEPARABLE[name]
    for norm, margin in zip(NORMS, margins, strict=True):
        sol = hard_margin(rows, [1, 1], norm=norm)
        assert sol.status == "certified"
        assert sol.margin == pytest.approx(margin, rel=1e-14)
        np.testing.assert_allclose(sol.w / norm_of(sol.w, norm), [0, 1], atol=1e-15)


def scaled_set(seed):
    """A small random set, its columns scaled by 10^U(-6, 9), and whether it is separable where that is known."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 120)), int(rng.integers(1, 13))
    X, w = rng.standard_normal((n, d)), rng.standard_normal(d)
    Z = X * np.where(X @ w >= 0, 1, -1)[:, None]
    scale, kind = 10 ** rng.uniform(-6, 9, d), seed % 5
    if kind == 1:
        Z[-1] = -0.5 * Z[0]
    if kind == 2:  # a combination of whole numbers, under scales that are powers of two
        Z = np.round(4 * Z)
        Z[~Z.any(1)] = 1.0
        k = min(n - 1, d, 4)
        Z[-1] = -(Z[:k] * rng.integers(1, 4, (k, 1))).sum(0)
        scale = 2.0 ** np.rint(np.log2(scale))
    if kind == 3:
        Z = X
    if kind == 4:
        scale = scale * 10 ** rng.uniform(-3, 3, (n, 1))
    return Z * scale, {0: True, 1: False, 2: False, 4: True}.get(kind)


@pytest.mark.parametrize("seed", range(25))
def test_scaled_columns(seed):
    """The first of 1,000 sets, of which none gave a wrong or inconsistent verdict."""
    Z, expected = scaled_set(seed)
    found = verdicts(Z)
    assert len(set(found)) == 1
    assert expected is None or found[0] == expected


def test_scaling_by_powers_of_two_changes_no_verdict():
    rng = np.random.default_rng(1)
    for Z in (gaussian(40, 6), np.vstack([gaussian(40, 6), -gaussian(40, 6)[:1]])):
        scaled = Z * 2.0 ** rng.integers(-30, 30, 6) * 2.0 ** rng.integers(-30, 30, (len(Z), 1))
        assert verdicts(scaled) == verdicts(Z)


def test_without_a_proof_the_status_says_undecided(monkeypatch):
    """Rotated opposed points: floats decide nothing, and rational arithmetic is not allowed."""
    monkeypatch.setattr(separability, "WORK", -1.0)
    monkeypatch.setattr(separability, "rational", lambda Z, p: separability.Verdict(None))
    Z = np.array([[0.3, 0.1, 0.7], [-0.3, -0.1, -0.7]])
    sol = hard_margin(Z, [1, 1])
    assert sol.status == "undecided"
    assert sol.margin <= 0
    assert sol.gap == np.inf


def test_weights_exist_only_where_that_is_proved():
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((200, 10))
    with pytest.raises(NotSeparableError) as error:
        hard_margin(Z, np.ones(200))
    p = error.value.certificate
    assert separability.null_weights(Z, p) is not None
    assert separability.null_weights(gaussian(200, 10), p) is None
    assert separability.null_weights(Z, np.ones(200)) is None  # no zero anywhere near


@pytest.mark.parametrize("seed", range(6))
def test_rational_arithmetic_with_and_without_flint(seed, monkeypatch):
    """Both ways to solve give the same answer, and the enclosure holds the margin of float64."""
    pytest.importorskip("flint")
    Z = gaussian(30, 5, seed) * 10.0 ** np.random.default_rng(seed).uniform(-3, 3, 5)
    one = ClosestPoint(Z).solve()
    monkeypatch.setitem(__import__("sys").modules, "flint", None)
    two = ClosestPoint(Z).solve()
    assert one.w == two.w
    assert (one.active, one.lower, one.upper) == (two.active, two.lower, two.upper)
    assert one.upper <= one.lower * (1 + 1e-15)
    sol = hard_margin(Z, np.ones(30))
    assert sol.margin <= one.upper and sol.upper_bound >= one.lower


def test_exact_signs():
    Z = np.array([[1.0, 1e-16], [-1.0, 1e-16]])
    assert least_sign(Z, np.array([0.0, 1.0])) == 1
    assert least_sign(Z, np.array([1e-16, 1.0])) == 0
    assert least_sign(Z, np.array([2e-16, 1.0])) == -1
    big = np.array([[1.0, 2.0**200, -(2.0**200)]])
    assert least_sign(big, np.ones(3)) == 1  # any float sum is 0


@pytest.mark.parametrize("seed", range(3))
def test_floats_are_whole_numbers(seed):
    rng = np.random.default_rng(seed)
    row = rng.standard_normal(7) * 10.0 ** rng.uniform(-300, 300, 7)
    row[0] = 5e-324
    whole, exponent = integers(row)
    assert [Fraction(k) * Fraction(2) ** exponent for k in whole] == [Fraction(float(x)) for x in row]
    assert [quotient(k, 1, exponent) for k in whole] == row.tolist()
    V, r, c = powers_of_two(np.outer(10.0 ** rng.uniform(-50, 50, 5), 10.0 ** rng.uniform(-50, 50, 4)))
    assert ((np.abs(V) > 0.1) & (np.abs(V) <= 2)).all()
    assert r.dtype.kind == c.dtype.kind == "i"


def test_reduction_without_fractions():
    rows, pivot, columns = reduce([[2, 1, 5], [4, 3, 11]], 2)
    assert columns == [0, 1]
    assert [[Fraction(x, pivot) for x in row] for row in rows] == [[1, 0, 2], [0, 1, 1]]
    assert reduce([[1, 2], [2, 4]], 2)[2] == [0]
