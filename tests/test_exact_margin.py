"""Margins in rational arithmetic: enclosures of relative width 1e-15, on every set, in every norm."""

from fractions import Fraction

import numpy as np
import pytest
from hard_margin_checks import DUAL, NORMS, dataset_1, gaussian, near_duplicates, norm_of

from margin_lab.hard_margins import NotSeparableError, hard_margin
from margin_lab.hard_margins.exact_program import Program


def wild(n, d, seed, decades=12):
    return gaussian(n, d, seed) * 10.0 ** np.random.default_rng(seed).uniform(-decades, decades, d)


DATA = {
    "Gaussian": lambda: gaussian(40, 6),
    "columns from 1e-12 to 1e12": lambda: wild(40, 6, 0),
    "the same, more columns than rows": lambda: wild(5, 12, 1),
    "columns from 1e-100 to 1e100": lambda: wild(20, 4, 2, 100),
    "lattice": lambda: np.array([[a, b, 2.0] for a in (-1, 0, 1) for b in (-1, 0, 1)]),
    "duplicates": lambda: np.repeat(gaussian(12, 4), 3, 0),
    "near-duplicates": lambda: near_duplicates()[:60],
    "dataset 1": dataset_1,
    "1e-16": lambda: np.array([[1, 1e-16], [-1, 1e-16]]),
    "one row": lambda: np.array([[3.0, -4.0, 0.0]]),
}


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", DATA)
def test_enclosures(name, norm):
    Z = DATA[name]()
    sol = hard_margin(Z, np.ones(len(Z)), norm=norm, exact=True)
    lower, upper = sol.interval
    assert (sol.margin, sol.upper_bound) == (lower, upper)
    assert 0 < lower < upper <= lower * (1 + 1e-14)
    assert sol.status == "certified"
    assert 0 < sol.gap <= 1e-14
    # the exact w and weights, rounded: each side is off by no more than roundings of its terms
    w, p = ([Fraction(float(x)) for x in v] for v in (sol.w, sol.dual))
    rows = [[Fraction(float(x)) for x in z] for z in Z]
    for z in rows:
        terms = [a * b for a, b in zip(z, w, strict=True)]
        assert sum(terms) >= Fraction(lower) - Fraction(4e-16) * len(w) * sum(map(abs, terms))
    combined = [sum(q * z[j] for q, z in zip(p, rows, strict=True)) for j in range(len(w))]
    slack = [
        4e-16 * len(p) * float(sum(q * abs(z[j]) for q, z in zip(p, rows, strict=True)))
        for j in range(len(w))
    ]
    assert norm_of([float(x) for x in combined], DUAL[norm]) <= upper * (1 + 1e-13) + norm_of(
        slack, DUAL[norm]
    )


@pytest.mark.parametrize("norm", NORMS)
def test_the_enclosure_agrees_with_float64_where_that_is_accurate(norm):
    for seed in range(5):
        Z = gaussian(30, 5, seed)
        one, two = (hard_margin(Z, np.ones(30), norm=norm, exact=e) for e in (False, True))
        assert one.interval is None
        assert one.margin <= two.interval[1] and two.interval[0] <= one.upper_bound * (1 + 1e-15)


def test_all_samples_on_the_margin_exactly():
    """Four corners of a square on the margin; two would do as support vectors."""
    Z = np.array([[2.0, a, b] for a in (-1, 1) for b in (-1, 1)] + [[2.0 + 1e-9, 0.3, 0.1]])
    sol = hard_margin(Z, np.ones(5), exact=True)
    assert sol.on_margin.tolist() == [0, 1, 2, 3]
    assert sol.interval[0] <= 2 <= sol.interval[1]
    assert hard_margin(Z, np.ones(5)).on_margin.tolist() == [0, 1, 2, 3, 4]  # to 1e-7


@pytest.mark.parametrize("norm", NORMS)
def test_exact_refuses_as_well(norm):
    Z = np.vstack([wild(20, 4, 0), -wild(20, 4, 0)[:1]])
    with pytest.raises(NotSeparableError):
        hard_margin(Z, np.ones(21), norm=norm, exact=True)


def test_badly_scaled_sets_come_down_to_the_tolerance_by_themselves():
    """Columns over fifteen decades: float64 certifies a gap of 1e-5 at best."""
    for seed in range(3):
        Z = gaussian(100, 12, seed) * 10.0 ** np.random.default_rng(seed).uniform(-6, 9, 12)
        for norm in NORMS:
            sol = hard_margin(Z, np.ones(100), norm=norm)
            assert sol.status == "certified" and 0 < sol.gap <= 1e-10


def test_a_program_pivots_to_its_optimum_from_any_dual_feasible_basis():
    """max x + y in the unit box with x + y <= 1 and x + 3 y <= 2, both degenerate at (1/2, 1/2)."""
    program = Program([[-1, -1], [-1, -3]], [-1, -2], [-1, -1], [0, 0], [1, 1])
    R, F, at = [], [], {0: 1, 1: 1}
    assert program.settle(R, F, at)
    found = program.minimise(R, F, at, np.inf)
    assert found is not None
    x, denominator = found[2:]
    assert Fraction(sum(x), denominator) == 1
    assert program.minimise(R, F, at, -1.0) is None  # out of work
