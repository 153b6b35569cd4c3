"""The active set and linear programs: what they polish off, what remains when they fail."""

import math

import numpy as np
import pytest
import torch
from hard_margin_checks import check, gaussian, solve

from margin_lab.hard_margins import binary, dual_active_set, linear_program
from margin_lab.hard_margins.solution import Bounds, length, unit_rows


@pytest.fixture
def no_rational(monkeypatch):
    """Only floats: rational arithmetic would settle everything here."""
    monkeypatch.setattr(binary, "WORK", 0.0)


def gives_up(*_, **__):
    return np.full(10, np.nan), 0.0, -1, {"lam": np.zeros(50)}


def out_of_iterations(*_):
    raise RuntimeError("Maximum number of iterations reached.")


def test_nnls_takes_over_where_daqp_gives_up(monkeypatch):
    Z = gaussian(50, 10)
    expected = solve(Z).margin
    monkeypatch.setattr("daqp.solve", gives_up)
    sol = solve(Z)
    assert (sol.method, sol.status) == ("daqp", "certified")
    assert sol.margin == pytest.approx(expected, rel=1e-10)


def test_auto_falls_back_and_keeps_the_better_bounds(monkeypatch, no_rational):
    Z = gaussian(50, 10)
    expected = solve(Z).margin
    monkeypatch.setattr("daqp.solve", gives_up)
    monkeypatch.setattr("scipy.optimize.nnls", out_of_iterations)
    sol = solve(Z)
    assert (sol.method, sol.status) == ("daqp+proximal", "certified")
    assert sol.margin == pytest.approx(expected, rel=1e-10)


def test_a_failing_linear_program_leaves_true_bounds(monkeypatch, no_rational):
    Z = gaussian(50, 10)
    expected = solve(Z, norm="l1").margin
    monkeypatch.setattr(linear_program, "highs", lambda *_, **__: None)
    sol = solve(Z, norm="l1")  # a separating w from the verdict's own search, and the weights of the mean
    assert sol.status == "limit"
    assert sol.margin <= expected * (1 + 1e-14) <= sol.upper_bound
    assert sol.gap > 1e-3


@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_rational_arithmetic_finishes_what_a_failing_program_left(monkeypatch, norm):
    Z = gaussian(50, 10)
    expected = solve(Z, norm=norm).margin
    monkeypatch.setattr(linear_program, "highs", lambda *_, **__: None)
    sol = solve(Z, norm=norm)
    assert (sol.method, sol.status) == ("highs+rational", "certified")
    assert sol.interval == (sol.margin, sol.upper_bound)
    assert sol.margin == pytest.approx(expected, rel=1e-10)


def test_no_linear_program_runs_without_a_limit(monkeypatch):
    """This one's interior point went on for ever, deaf to Ctrl-C."""
    import scipy.optimize

    seen = []
    original = scipy.optimize.linprog

    def watched(*args, **options):
        seen.append(options["options"])
        return original(*args, **options)

    monkeypatch.setattr("scipy.optimize.linprog", watched)
    Z = np.array([[-1e-3, 3e3], [-3e-3, 3e3], [0, 1e3]])
    sol = solve(Z, norm="linf")
    assert sol.margin == pytest.approx(1000, rel=1e-10)
    assert seen
    assert all(options["maxiter"] < 10**6 and options["time_limit"] < 60 for options in seen)


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


def test_the_polish_takes_off_the_last_digits():
    """From the right support vectors with wrong weights the polished pair is exact."""
    Z = gaussian(30, 4)
    U, c = (t.numpy() for t in unit_rows(torch.tensor(Z), 2.0))
    rough = solve(Z).dual * np.random.default_rng(0).uniform(0.9, 1.1, 30)
    gaps = []
    for w, lam in ((rough @ U, rough), dual_active_set.polish(U, c, rough)):
        bounds = Bounds(torch.tensor(Z), "l2")
        bounds.offer(torch.tensor(w), torch.tensor(lam * c))
        gaps.append(bounds.gap)
    assert gaps[0] > 1e-3
    assert gaps[1] < 1e-13


@pytest.mark.parametrize(("n", "d"), [(6000, 10), (3000, 40)])
def test_samples_of_the_rows_lead_to_the_answer_for_all(n, d):
    Z = gaussian(n, d)
    U, c = (t.numpy() for t in unit_rows(torch.tensor(Z), 2.0))
    sampled, whole = dual_active_set.on_samples(U, c), dual_active_set.on_rows(U, c)
    np.testing.assert_allclose(sampled.w, whole.w, atol=1e-8 * np.abs(whole.w).max())
    assert (U @ sampled.w - c).min() > -1e-10
    check(Z, solve(Z))


@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_samples_of_the_rows_lead_to_the_same_program(norm, monkeypatch):
    Z = gaussian(3000, 8)
    check(Z, sampled := solve(Z, norm=norm))
    monkeypatch.setattr(linear_program, "DIRECT", 10**6)
    assert sampled.margin == pytest.approx(solve(Z, norm=norm).margin, rel=1e-10)


def test_a_contradiction_in_a_sample_ends_the_search():
    Z = np.vstack([gaussian(4000, 10), np.tile(-gaussian(4000, 10)[:5], (800, 1))])
    U, c = (t.numpy() for t in unit_rows(torch.tensor(Z), 2.0))
    found = dual_active_set.on_samples(U, c)
    assert np.linalg.norm(found.lam @ U) < 1e-10 * found.lam.sum()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_bound_from_what_is_not_finite(bad):
    Z = torch.tensor(gaussian(20, 3))
    for w, p in (
        (torch.full((3,), bad), None),
        (None, torch.full((20,), bad)),
        (torch.zeros(3), torch.zeros(20)),
    ):
        bounds = Bounds(Z, "l2")
        bounds.offer(None if w is None else w.double(), None if p is None else p.double())
        assert bounds.gap == math.inf
        assert not bounds.separated
        assert bounds.status(1e-10) == "undecided"


def test_length_neither_over_nor_underflows():
    t = torch.tensor([[3.0, 4.0], [0.0, 0.0]], dtype=torch.float64)
    for scale in (1e-300, 1.0, 1e300):
        np.testing.assert_allclose(length(scale * t, 2.0) / scale, [5, 0], rtol=1e-15)
