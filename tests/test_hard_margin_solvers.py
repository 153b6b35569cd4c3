"""NNLS and linear programs: what they polish off, what remains when they fail."""

import math

import numpy as np
import pytest
import torch
from hard_margin_checks import check, gaussian, solve

from margin_lab.hard_margins import linear_program, nnls
from margin_lab.hard_margins.solution import Bounds, length, unit_rows


def test_auto_falls_back_and_keeps_the_better_bounds(monkeypatch):
    def out_of_iterations(*_):
        raise RuntimeError("Maximum number of iterations reached.")

    Z = gaussian(50, 10)
    expected = solve(Z, method="nnls").margin
    monkeypatch.setattr("scipy.optimize.nnls", out_of_iterations)
    sol = solve(Z)
    assert (sol.method, sol.status) == ("nnls+proximal", "certified")
    assert sol.margin == pytest.approx(expected, rel=1e-10)
    alone = solve(Z, method="nnls")  # nothing but the mean of the data, and it says so
    assert alone.status == "limit"
    assert alone.margin <= expected <= alone.upper_bound


def test_a_failing_linear_program_leaves_true_bounds(monkeypatch):
    Z = gaussian(50, 10)
    expected = solve(Z, norm="l1").margin
    monkeypatch.setattr(linear_program, "highs", lambda *_, **__: None)
    sol = solve(Z, norm="l1")
    assert sol.status == "limit"
    assert sol.margin <= expected * (1 + 1e-14) <= sol.upper_bound
    assert sol.gap > 1e-3


@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_magnified_programs_certify_what_one_program_cannot(norm):
    """Near-duplicates with uneven columns: HiGHS' 1e-10 leaves a gap of 1e-7, a second program takes it off."""
    rng = np.random.default_rng(26)
    Z = np.repeat(gaussian(100, 20, 26), 3, 0) + 1e-6 * rng.standard_normal((300, 20))
    Z *= 10 ** rng.uniform(-2, 2, 20)
    U, c = (t.numpy() for t in unit_rows(torch.tensor(Z), math.inf))
    gaps = []
    for w, lam in linear_program.margin_program(U, c, norm, rounds=2):
        bounds = Bounds(torch.tensor(Z), norm)
        bounds.offer(torch.tensor(w), torch.tensor(lam * c))
        gaps.append(bounds.gap)
    assert len(gaps) == 4
    assert gaps[1] > 1e-9
    assert gaps[3] <= 1e-10
    check(Z, solve(Z, norm=norm))


def test_nnls_polish_takes_off_the_last_digits(monkeypatch):
    """From the right support vectors with wrong weights the second pair is exact."""
    Z = gaussian(30, 4)
    U, c = (t.numpy() for t in unit_rows(torch.tensor(Z), 2.0))
    rough = solve(Z).dual * np.random.default_rng(0).uniform(0.9, 1.1, 30)
    monkeypatch.setattr("scipy.optimize.nnls", lambda *_: (rough, 0.0))
    gaps = []
    for w, lam in nnls.least_distance(U, c):
        bounds = Bounds(torch.tensor(Z), "l2")
        bounds.offer(torch.tensor(w), torch.tensor(lam * c))
        gaps.append(bounds.gap)
    assert gaps[0] > 1e-3
    assert gaps[1] < 1e-13


def test_length_neither_over_nor_underflows():
    t = torch.tensor([[3.0, 4.0], [0.0, 0.0]], dtype=torch.float64)
    for scale in (1e-300, 1.0, 1e300):
        np.testing.assert_allclose(length(scale * t, 2.0) / scale, [5, 0], rtol=1e-15)
