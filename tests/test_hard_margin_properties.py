"""Hard margins of random problems: bounds, symmetries and the order of norms."""

import math

import numpy as np
import pytest
from hard_margin_checks import DUAL, NORMS, gaussian, norm_of, solve
from hypothesis import given, settings
from hypothesis import strategies as st

problems = st.builds(gaussian, n=st.integers(1, 30), d=st.integers(2, 8), seed=st.integers(0, 10**6))
quick = settings(max_examples=25, deadline=None, derandomize=True)


@quick
@given(Z=problems, norm=st.sampled_from(NORMS), seed=st.integers(0, 1000))
def test_bounds_bracket_every_direction_and_every_weighting(Z, norm, seed):
    rng = np.random.default_rng(seed)
    sol = solve(Z, norm=norm)
    for _ in range(20):
        w = sol.w + rng.standard_normal(Z.shape[1]) * 10 ** rng.uniform(-8, 1)
        p = np.abs(sol.dual + rng.standard_normal(len(Z)) * 10 ** rng.uniform(-8, 0))
        assert (Z @ w).min() / norm_of(w, norm) <= sol.upper_bound * (1 + 1e-13)
        assert norm_of(p @ Z, DUAL[norm]) / p.sum() >= sol.margin * (1 - 1e-13)


@quick
@given(Z=problems, norm=st.sampled_from(NORMS), exponent=st.integers(-60, 60))
def test_scaling_the_data_scales_the_margin(Z, norm, exponent):
    """A power of two leaves every rounding as it is: the answer is the same to the last bit."""
    one, two = solve(Z, norm=norm), solve(2.0**exponent * Z, norm=norm)
    np.testing.assert_array_equal(one.w, two.w)
    assert one.margin * 2.0**exponent == two.margin
    assert one.gap == two.gap


@quick
@given(Z=problems, norm=st.sampled_from(NORMS), seed=st.integers(0, 1000))
def test_symmetries_leave_the_margin(Z, norm, seed):
    """Permuted samples, permuted and mirrored features, repeated samples."""
    rng = np.random.default_rng(seed)
    base = solve(Z, norm=norm).margin
    n, d = Z.shape
    for other in (
        Z[rng.permutation(n)],
        Z[:, rng.permutation(d)] * rng.choice([-1.0, 1.0], d),
        np.vstack([Z, Z[rng.integers(n, size=3)]]),
    ):
        assert solve(other, norm=norm).margin == pytest.approx(base, rel=3e-10)


@quick
@given(Z=problems, seed=st.integers(0, 1000))
def test_norms_are_ordered(Z, seed):
    """The unit balls are nested, l1 in l2 in linf, and so are the margins; each at most sqrt(d) times the one before."""
    l1, l2, linf = (solve(Z, norm=k).margin for k in NORMS)
    root = math.sqrt(Z.shape[1])
    assert l1 <= l2 * (1 + 1e-9) <= linf * (1 + 2e-9)
    assert linf <= l2 * root * (1 + 1e-9) <= l1 * root**2 * (1 + 2e-9)
