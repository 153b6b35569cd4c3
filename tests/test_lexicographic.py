"""The lexicographic ruler against brute force, and the constrained path of linear models against both."""

from __future__ import annotations

import itertools
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import margin_lab as ml
from margin_lab.theory.lexicographic import constrained_path, lexicographic_margin, regularization_path

INTERVAL = np.array([[1.0, 0.0], [1.5, 1.0], [2.0, -1.0]])
TWO_TIES = np.array([[1, 0, 0], [1.5, 1, 0], [2, -1, 0], [3, 0, 1], [3.5, 0, -1]], dtype=float)
EDGE = np.array([[1.0, 1.0], [3.0, 1.2], [1.1, 2.5]])
EXAMPLES = {  # data, norm, solution, its levels: derived by hand
    "interval": (INTERVAL, "linf", [1, 1 / 4], [1, 7 / 4]),
    "two ties": (TWO_TIES, "linf", [1, 1 / 4, 1 / 4], [1, 7 / 4, 13 / 4]),
    "edge": (EDGE, "l1", [13 / 32, 19 / 32], [1, 1.2 + 1.8 * 13 / 32]),
}
DUAL = {"l1": np.inf, "linf": 1}


def brute_force(Z: np.ndarray, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """Sorted margins and a solution: the best vertex of the arrangement of all ``q_i = q_j`` and the ball's faces.

    Where the order of the margins is fixed, they are linear, so that a lexicographic maximum is at a vertex of that cell.
    """
    n, d = Z.shape
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=d)))
    faces = signs if norm == "l1" else np.vstack([np.eye(d), -np.eye(d)])
    planes = [(Z[i] - Z[j], 0.0) for i in range(n) for j in range(i)] + [(f, 1.0) for f in faces]
    best: Any = None
    for chosen in itertools.combinations(planes, d):
        A, b = np.array([a for a, _ in chosen]), np.array([v for _, v in chosen])
        if not b.any() or abs(np.linalg.det(A)) < 1e-9:
            continue
        w = np.linalg.solve(A, b)
        if (faces @ w).max() > 1 + 1e-9:
            continue
        q = np.sort(Z @ w)
        if best is None or next((x > z for x, z in zip(q, best[0], strict=True) if abs(x - z) > 1e-9), False):
            best = q, w
    return best


def small_problems(count: int, seed: int = 0) -> list[tuple[np.ndarray, str]]:
    """Two thirds with small whole entries, so that ties and faces are common; separable, of full rank."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < count:
        k, d = len(found), int(rng.integers(2, 4))
        n = int(rng.integers(d, 6))
        Z = rng.normal(size=(n, d)) + 0.7 if k % 3 == 0 else rng.integers(-1, 4, size=(n, d)).astype(float)
        if np.linalg.matrix_rank(Z) == d and brute_force(Z, "linf")[0][0] > 1e-6:
            found.append((Z, ("l1", "linf")[k % 2]))
    return found


PROBLEMS = small_problems(45)


@pytest.mark.parametrize("name", EXAMPLES)
def test_ruler_on_the_examples(name: str) -> None:
    Z, norm, w, levels = EXAMPLES[name]
    solution = lexicographic_margin(Z, np.ones(len(Z)), norm)
    np.testing.assert_allclose(solution.w, w, atol=1e-14)
    np.testing.assert_allclose([level.margin for level in solution.levels], levels, rtol=1e-14)
    assert solution.unique and solution.gap < 1e-14
    np.testing.assert_allclose(solution.sorted_margins, np.sort(Z @ np.array(w)), rtol=1e-14)


def test_ruler_agrees_with_brute_force() -> None:
    deep = 0
    for Z, norm in PROBLEMS:
        solution = lexicographic_margin(Z, np.ones(len(Z)), norm)
        margins, w = brute_force(Z, norm)
        np.testing.assert_allclose(solution.sorted_margins, margins, atol=1e-13)
        if solution.unique:
            np.testing.assert_allclose(solution.w, w, atol=1e-12)
        assert solution.gap < 1e-13
        deep += len(solution.levels) > 1
    assert deep >= 7  # the plain max-margin set is not a point in these


def test_every_level_is_proved_by_its_weights() -> None:
    """Weak duality, evaluated here from nothing but the weights; and no random feasible point does better."""
    rng = np.random.default_rng(1)
    for Z, norm in [*((Z, norm) for Z, norm, _, _ in EXAMPLES.values()), *PROBLEMS[:20]]:
        solution = lexicographic_margin(Z, np.ones(len(Z)), norm)
        W = rng.uniform(-1, 1, size=(4000, Z.shape[1]))
        W = np.vstack([solution.w + s * W for s in (0, 1e-3, 1e-1, 1)])
        W /= np.maximum(1, np.linalg.norm(W, {"l1": 1, "linf": np.inf}[norm], axis=1))[:, None]
        closed = np.zeros(len(Z), bool)
        for level in solution.levels:
            p = level.weights
            assert (p >= 0).all() and p[~closed].sum() == pytest.approx(1)
            bound = np.linalg.norm(p @ Z, DUAL[norm]) - p[closed] @ solution.margins[closed]
            assert level.margin <= bound + 1e-13 and bound <= level.margin + 1e-12
            short = solution.margins[closed] - W @ Z[closed].T
            feasible = (short <= 1e-12).all(1)
            assert (W[feasible] @ Z[~closed].T).min(1).max() <= level.margin + 1e-9
            np.testing.assert_allclose(solution.margins[level.samples], level.margin, rtol=1e-13)
            closed[level.samples] = True


def test_l2_is_the_hard_margin() -> None:
    data = ml.datasets.gaussian(seed=3)
    solution = lexicographic_margin(data.X, data.y, "l2")
    exact = ml.hard_margin(data.X, data.y)
    np.testing.assert_array_equal(solution.w, exact.w)
    assert solution.unique and len(solution.levels) == 1 and solution.gap < 1e-10
    np.testing.assert_allclose(solution.margins, data.Z @ exact.w)


@pytest.mark.parametrize("norm", ["l1", "linf"])
def test_first_level_is_the_hard_margin(norm: str) -> None:
    data = ml.datasets.gaussian(seed=4)
    solution = lexicographic_margin(data.X, data.y, norm)
    assert solution.levels[0].margin == pytest.approx(ml.hard_margin(data.X, data.y, norm).margin, rel=1e-12)


def test_scale_and_order_do_not_matter() -> None:
    for Z, norm, w, _ in EXAMPLES.values():
        scaled = lexicographic_margin(1e6 * Z[::-1], np.ones(len(Z)), norm)
        np.testing.assert_allclose(scaled.w, w, atol=1e-13)


def test_solutions_may_not_be_unique_but_their_margins_are() -> None:
    """A third feature that is always 0: in linf it is free."""
    Z = np.hstack([INTERVAL, np.zeros((3, 1))])
    solution = lexicographic_margin(Z, np.ones(3), "linf")
    assert not solution.unique
    np.testing.assert_allclose(solution.w[:2], [1, 0.25], atol=1e-13)


BAD = {
    "labels": (lambda: lexicographic_margin(EDGE, np.array([0, 1, 1]), "l1"), r"labels y must be -1 or \+1"),
    "norm": (
        lambda: lexicographic_margin(EDGE, np.ones(3), "l3"),
        "norm must be one of 'l1', 'l2', 'linf', got 'l3'",
    ),
    "nan": (lambda: constrained_path(np.full((3, 2), np.nan), np.ones(3), 1.0), "X contains NaN"),
    "rho": (lambda: constrained_path(EDGE, np.ones(3), 0.0), "rho must be > 0 and finite, got 0.0"),
    "nan rho": (
        lambda: constrained_path(EDGE, np.ones(3), [1.0, np.nan]),
        "rho must be > 0 and finite, got nan",
    ),
    "order": (lambda: constrained_path(EDGE, np.ones(3), [2.0, 1.0]), "increasing sequence"),
    "path norm": (lambda: constrained_path(EDGE, np.ones(3), 1.0, "l0"), "norm must be one of"),
    "one radius": (lambda: constrained_path(EDGE, np.ones(3), 1.0).limit(), "two radii or more"),
    "power": (lambda: regularization_path(EDGE, np.ones(3), 0.1, power=0.5), "power must be >= 1"),
    "tol": (lambda: lexicographic_margin(EDGE, np.ones(3), "l1", tol=0.0), "tol must be > 0"),
    "strength": (lambda: regularization_path(EDGE, np.ones(3), 1e9, "l1", power=1.0), "leaves w = 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_not_separable(norm: str) -> None:
    X = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    for call in (
        lambda: lexicographic_margin(X, np.ones(3), norm),
        lambda: constrained_path(X, np.ones(3), 1.0, norm),
    ):
        with pytest.raises(ml.NotSeparableError):
            call()


def test_path_ends_at_the_ruler() -> None:
    """Extrapolated in 1/rho, in polyhedral norms: to 1e-6 is asked; seen: 1e-12."""
    for Z, norm in [*((Z, norm) for Z, norm, _, _ in EXAMPLES.values()), *PROBLEMS[:30]]:
        solution = lexicographic_margin(Z, np.ones(len(Z)), norm)
        path = constrained_path(Z, np.ones(len(Z)), [1.0, 8.0, 5e3, 1e4], norm)
        assert path.settled[-2:].all()
        np.testing.assert_allclose(path.limit(), solution.w, atol=1e-10)
        np.testing.assert_allclose(np.sort(Z @ path.limit()), solution.sorted_margins, atol=1e-10)
        assert (path.gap[:2] < 1e-11).all()
        np.testing.assert_allclose(
            np.linalg.norm(path.w, {"l1": 1, "linf": np.inf}[norm], axis=1), path.rho, rtol=1e-12
        )


def exact_minimiser(Z: np.ndarray, norm: str, rho: float) -> np.ndarray:
    """2-D, 60 digits: the best of the four edges, each by bisection on the derivative along it."""
    with mp.workdps(60 + int(2 * rho)):
        corners = (
            [(1, 1), (-1, 1), (-1, -1), (1, -1)] if norm == "linf" else [(1, 0), (0, 1), (-1, 0), (0, -1)]
        )
        best: Any = None
        for k in range(4):
            a, b = (mp.matrix(corners[j % 4]) * mp.mpf(rho) for j in (k, k + 1))
            rows = [
                (
                    mp.mpf(z[0]) * a[0] + mp.mpf(z[1]) * a[1],
                    mp.mpf(z[0]) * (b - a)[0] + mp.mpf(z[1]) * (b - a)[1],
                )
                for z in Z
            ]
            low, high = mp.mpf(0), mp.mpf(1)
            for _ in range(64):
                middle = (low + high) / 2
                rising = mp.fsum(r * mp.exp(-q - middle * r) for q, r in rows) < 0
                low, high = (low, middle) if rising else (middle, high)
            value = mp.fsum(mp.exp(-q - low * r) for q, r in rows)
            if best is None or value < best[0]:
                best = value, a + low * (b - a)
        return np.array([float(v) for v in best[1]])


def test_path_against_sixty_digits() -> None:
    """Where the second level is far below the rounding of the first, too."""
    problems = [(INTERVAL, "linf"), (EDGE, "l1"), *((Z, norm) for Z, norm in PROBLEMS if Z.shape[1] == 2)][
        :12
    ]
    for Z, norm in problems:
        rho = np.array([0.3, 2.0, 9.0, 100.0])
        path = constrained_path(Z, np.ones(len(Z)), rho, norm)
        exact = np.array([exact_minimiser(Z, norm, r) for r in rho])
        np.testing.assert_allclose(path.w, exact, rtol=0, atol=2e-11)


def test_edge_is_followed_exactly() -> None:
    """``w/rho = (t, 1 - t)`` with ``t = 13/32 + log(9/7) / (3.2 rho)``, at every radius."""
    rho = np.geomspace(1, 1e6, 13)
    path = constrained_path(EDGE, np.ones(3), rho, "l1")
    np.testing.assert_allclose((path.w[:, 0] - 13 / 32 * rho), np.log(9 / 7) / 3.2, rtol=1e-9)
    assert path.settled.all()


def test_l2_path_is_stationary_and_ends_at_the_hard_margin() -> None:
    data = ml.datasets.gaussian(seed=5)
    path = constrained_path(data.X, data.y, [0.1, 1.0, 10.0, 1e3, 1e6, 2e6], "l2")
    assert (path.gap <= 1e-12 * np.maximum(1, path.rho)).all()
    np.testing.assert_allclose(path.limit(), ml.hard_margin(data.X, data.y).w, atol=1e-6)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_regularization_path_minimises_its_own_objective(norm: str, power: float) -> None:
    """Against random points near and far, by the objective itself."""
    strengths = [0.3, 0.01, 1e-5]
    path = regularization_path(EDGE, np.ones(3), strengths, norm, power)
    assert (np.diff(path.rho) > 0).all()
    rng = np.random.default_rng(0)

    def objective(w: np.ndarray, lam: float) -> np.ndarray:
        length = np.linalg.norm(w, {"l1": 1, "l2": 2, "linf": np.inf}[norm], axis=-1)
        return np.exp(-w @ EDGE.T).sum(-1) + lam * length**power

    for lam, w in zip(strengths, path.w, strict=True):
        others = np.vstack([w + s * rng.normal(size=(2000, 2)) for s in (1e-4, 1e-2, 1.0)])
        assert objective(w, lam) <= objective(others, lam).min() + 1e-15
