"""The lexicographic ruler on data of wild scales: against exact brute force, and what it says where it cannot decide."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import margin_lab as ml
from margin_lab.hard_margins import linear_program
from margin_lab.theory.lexicographic import exact_levels as exact
from margin_lab.theory.lexicographic import lexicographic_margin, ruler

# Reported: a wrong sign, a NaN, a division by zero and a call that never returned.
FAULTS: list[tuple[list[list[float]], str, list[float], list[float]]] = [
    (
        [[-2e4, -2e-4], [2e4, -2e-4], [-3e4, -1e-4], [-3e4, -3e-4], [-1e4, 0], [-1e4, 0]],
        "linf",
        [-2e-8 / 3, -1],
        [2e-4 / 3],
    ),
    ([[0, -3e-4], [3e4, -2e-4], [1e4, -2e-4], [-1e4, -2e-4]], "l1", [0, -1], [2e-4]),
    (
        [[2e4, -3e-4], [-3e4, 0], [-3e4, -1e-4], [-1e4, 0]],
        "l1",
        [-1e-8 / (1 + 1e-8), -1 / (1 + 1e-8)],
        [1e-4 / (1 + 1e-8)],
    ),
    ([[-1e-3, 3e3], [-3e-3, 3e3], [0, 1e3]], "linf", [-1, 1], [1000, 3000.001]),
]


@pytest.mark.parametrize(("Z", "norm", "w", "levels"), FAULTS)
def test_reported_faults(Z: list[list[float]], norm: str, w: list[float], levels: list[float]) -> None:
    solution = lexicographic_margin(Z, [1] * len(Z), norm)
    np.testing.assert_allclose(solution.w, w, rtol=1e-7, atol=1e-14)
    np.testing.assert_allclose([level.margin for level in solution.levels], levels, rtol=1e-7)
    assert solution.unique and 0 <= solution.gap < 1e-6
    assert solution.status == ("certified" if solution.gap <= 1e-10 else "rounding floor")


def brute_force(Z: np.ndarray, norm: str) -> list[Fraction]:
    """Sorted margins of the best vertex, in two dimensions, without rounding: see test_lexicographic."""
    rows = [[Fraction(float(z)) for z in row] for row in Z]
    faces = [[Fraction(a), Fraction(b)] for a, b in itertools.product((1, -1), repeat=2)]
    if norm == "linf":
        faces = [[Fraction(a), Fraction(b)] for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1))]
    planes = [([p - q for p, q in zip(a, b, strict=True)], 0) for a, b in itertools.combinations(rows, 2)]
    planes += [(f, 1) for f in faces]
    best: Any = None
    for (a, s), (b, t) in itertools.combinations(planes, 2):
        det = a[0] * b[1] - a[1] * b[0]
        if det == 0 or not (s or t):
            continue
        w = [(s * b[1] - t * a[1]) / det, (a[0] * t - b[0] * s) / det]
        if max(f[0] * w[0] + f[1] * w[1] for f in faces) <= 1:
            q = sorted(z[0] * w[0] + z[1] * w[1] for z in rows)
            best = q if best is None else max(best, q)
    return best


def scaled_problems(count: int) -> list[tuple[np.ndarray, str]]:
    rng, found = np.random.default_rng(5), []
    while len(found) < count:
        Z = rng.integers(-3, 4, size=(int(rng.integers(2, 6)), 2)).astype(float)
        Z = Z * 2.0 ** rng.integers(-26, 27, size=2) * 2.0 ** rng.integers(-3, 4, size=(len(Z), 1))
        if np.linalg.matrix_rank(Z / np.abs(Z).max(0).clip(1e-99)) == 2 and brute_force(Z, "linf")[0] > 0:
            found.append((Z, ("l1", "linf")[len(found) % 2]))
    return found


@pytest.mark.parametrize("forced", [False, True], ids=["as it comes", "exact"])
def test_scaled_data_against_exact_brute_force(forced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if forced:
        monkeypatch.setattr(ruler.LevelSearch, "run", lambda self: 1 / 0)
    for Z, norm in scaled_problems(60):
        solution = lexicographic_margin(Z, np.ones(len(Z)), norm)
        assert solution.method == "exact" or not forced
        wanted = np.array([float(q) for q in brute_force(Z, norm)])
        blur = 1e-9 * wanted[0] + 1e-14 * (np.abs(Z) @ np.abs(solution.w)).max()
        np.testing.assert_allclose(solution.sorted_margins, wanted, rtol=1e-9, atol=blur)
        assert 0 <= solution.gap < np.inf
        assert np.abs(solution.w).sum() <= 1 + 1e-14 if norm == "l1" else np.abs(solution.w).max() <= 1


def test_no_solver_may_run_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """HiGHS's interior point went round for ever on the last of the faults: each call has an iteration limit."""
    import scipy.optimize

    seen, linprog = [], scipy.optimize.linprog

    def watched(*arguments: Any, **options: Any) -> Any:
        seen.append(options["options"].get("maxiter", np.inf))
        options["options"]["maxiter"] = min(seen[-1], 2000)
        return linprog(*arguments, **options)

    monkeypatch.setattr(scipy.optimize, "linprog", watched)
    Z, norm, _, _ = FAULTS[3]
    lexicographic_margin(Z, [1] * 3, norm)
    assert seen and max(seen) < 1e5


@pytest.mark.parametrize("failure", ["no optimum", "nan", "wrong"])
def test_a_solver_that_fails_is_noticed(failure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer of HiGHS is checked; exact arithmetic takes over, and where the data is too large for it, a sentence."""
    Z, honest = np.array([[1.0, 0.0], [1.5, 1.0], [2.0, -1.0]]), linear_program.highs

    def failing(*arguments: Any, **rows: Any) -> Any:
        out = honest(*arguments, **rows)
        if failure == "nan":
            out.x[:] = np.nan
        elif failure == "wrong":
            out.x[:2] = [1.0, -1.0]
            out.x[-1] = 9.0
            out.ineqlin.marginals[:] = [0.0, -1.0, 0.0]
        return None if failure == "no optimum" else out

    monkeypatch.setattr("margin_lab.theory.lexicographic.levels.highs", failing)
    solution = lexicographic_margin(Z, np.ones(3), "linf")
    assert solution.method == "exact"
    np.testing.assert_allclose(solution.w, [1, 1 / 4], atol=1e-15)
    monkeypatch.setattr(exact, "LARGEST", 1)
    with pytest.raises(ValueError, match=r"too large for exact arithmetic; scale rows and columns"):
        lexicographic_margin(Z, np.ones(3), "linf")


def test_samples_in_no_level_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first fault: one level of value -20000 with a gap of 0, because the sample below it was never looked at."""
    Z = np.array([[1.0, 0.0], [1.5, 1.0], [2.0, -1.0]])
    monkeypatch.setattr(ruler.LevelSearch, "solution", lambda self: np.array([1.0, -0.9]))
    assert lexicographic_margin(Z, np.ones(3), "linf").method == "exact"


@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_exact_levels_prove_that_nothing_separates(norm: str) -> None:
    Z = np.array([[1.0, 2.0], [-3.0, -6.0], [0.0, 1.0]])
    found = exact.exact_levels(Z, norm)
    assert found.values == [0]
    np.testing.assert_array_equal(found.weights[0] @ Z, 0)
    with pytest.raises(ml.NotSeparableError):
        lexicographic_margin(Z, np.ones(3), norm)


def test_exact_pivots_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "PIVOTS", 0)
    with pytest.raises(ValueError, match="more than 0 exact pivots; scale rows and columns"):
        exact.exact_levels(np.eye(2), "l1")
