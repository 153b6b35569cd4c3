"""l1 and linf hard margins: linear programs by HiGHS, then a correction to the last digits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from margin_lab.checks import warning_filter
from margin_lab.hard_margins.samples import Answer, Pair, working_rows

# Errors are magnified at most this much more from one linear program to the next.
ZOOM = 1e6
# Entries of w and lam below this, relative to the largest, are not part of a basis.
DUST = 1e-12
# Limits of one call: interior-point steps (20 to 60 where it succeeds), simplex steps a column, and, should these not bind,
# seconds, some hundred times what dense programs need.
INTERIOR_STEPS, SIMPLEX_STEPS, SHORTEST, PER_ENTRY = 300, 20, 20.0, 1e-3
# From this many rows on, samples of them are solved first; rows that are short by less than FEASIBLE are not violated.
DIRECT, FEASIBLE = 2500, 1e-12
TINY = np.finfo(np.float64).tiny


def margin_pairs(U: np.ndarray, c: np.ndarray, norm: str) -> Iterator[Pair]:
    """Yield pairs as :func:`margin_program` does; of many rows, samples of them are solved first."""
    if len(U) <= DIRECT:
        yield from (Pair(*pair) for pair in margin_program(U, c, norm))
        return

    def solve(U: np.ndarray, c: np.ndarray, active: np.ndarray) -> Answer | None:
        best = None
        for w, lam in margin_program(U, c, norm, rounds=1):
            height = float((U @ w / c).min())
            if best is None or height > best.height:
                best = Answer(w, lam, height)
        return best

    found = working_rows(U, c, solve, FEASIBLE)
    if found is None:
        return
    rows = found[0]
    for w, part in margin_program(U[rows], c[rows], norm):
        lam = np.zeros(len(U))
        lam[rows] = part
        yield Pair(w, lam)


def margin_program(U: np.ndarray, c: np.ndarray, norm: str, *, rounds: int = 4) -> Iterator[tuple[Any, Any]]:
    """Yield pairs (w, lam) for ``max g  subject to  Uw >= g c, ||w|| <= 1`` in l1 or linf, better and better.

    l1 splits ``w = w+ - w-``; linf bounds every ``|w_j| <= 1``; columns are scaled to largest entry 1. lam
    are the multipliers of the rows. Feasible and bounded whatever the data (w = 0, g = 0): where the data is
    not separable, lam is the proof.

    HiGHS is good to absolute tolerances of 1e-10. Each answer is followed by the solution of its basis'
    equations (``vertex``), and where that is not enough by HiGHS again on the program of the remaining
    errors, magnified.

    Args:
        U: ``[n, d]`` rows with largest entry 1, float64.
        c: ``[n]`` right-hand sides, in (0, 1].
        norm: ``"l1"`` or ``"linf"``.
        rounds: linear programs to solve at most.

    Sources: Huangfu and Hall, Math. Prog. Comp. 10 (2018), for HiGHS; Gleixner, Steffy and Wolter, Iterative
    refinement for linear programming, INFORMS J. Comput. 28 (2016), for the magnified programs.
    """
    from scipy import sparse

    n, d = U.shape
    a = np.abs(U).max(0)
    a[a == 0] = 1.0
    V = U / a
    m = d if norm == "linf" else 2 * d  # columns before g
    if norm == "l1":
        A = np.vstack([np.hstack([-V, V, c[:, None]]), np.concatenate([1 / a, 1 / a, [0.0]])])
        b = np.append(np.zeros(n), 1.0)
        low, high = np.append(np.zeros(m), -np.inf), np.full(m + 1, np.inf)
    else:
        A, b = np.hstack([-V, c[:, None]]), np.zeros(n)
        low, high = np.append(-a, -np.inf), np.append(a, np.inf)
    cost = np.append(np.zeros(m), -1.0)

    out = highs(cost, low, high, A_ub=A, b_ub=b)
    if out is None:
        return
    x, y = out.x, out.ineqlin.marginals
    # From here on Ax + s = b with slacks s >= 0: multipliers can then be corrected up and down.
    x = np.append(x, np.maximum(b - A @ x, 0))
    A = sparse.hstack([sparse.csr_array(A), sparse.eye_array(len(b))], format="csr")
    cost = np.append(cost, np.zeros(len(b)))
    low, high = np.append(low, np.zeros(len(b))), np.append(high, np.full(len(b), np.inf))
    zoom_x = zoom_y = 1.0
    for k in range(rounds):
        w = (x[:d] - x[d:m] if norm == "l1" else x[:d]) / a
        lam = np.maximum(-y[:n], 0)
        yield w, lam
        yield vertex(U, c, w, lam, norm)
        if k + 1 == rounds:
            return
        # The same program for the corrections x', y' in x + x'/zoom_x, y + y'/zoom_y: the magnifications
        # make what is still wrong on each side of size 1.
        reduced = cost - y @ A
        wrong_x = max(np.abs(A @ x - b).max(), np.max(low - x), np.max(x - high))
        wrong_y = max(np.max(-reduced[x < high]), np.max(reduced[x > low]))
        zoom_x, zoom_y = (min(ZOOM * z, 1 / max(e, TINY)) for z, e in ((zoom_x, wrong_x), (zoom_y, wrong_y)))
        out = highs(
            reduced * zoom_y, (low - x) * zoom_x, (high - x) * zoom_x, A_eq=A, b_eq=(b - A @ x) * zoom_x
        )
        if out is None:
            return
        x, y = x + out.x / zoom_x, y + out.eqlin.marginals / zoom_y


def highs(cost: np.ndarray, low: np.ndarray, high: np.ndarray, **rows: Any) -> Any:
    """Return SciPy's result for ``min cost'x, low <= x <= high`` and the rows; None without an optimum."""
    from scipy.optimize import linprog

    options = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10, "presolve": False}
    # HiGHS' interior point can go on for ever on badly scaled programs: each try has a limit.
    entries = sum(np.prod(A.shape) for A in rows.values() if A.ndim == 2)
    # the simplex method where the interior point stops short
    for solver, most in (("highs-ipm", INTERIOR_STEPS), ("highs-ds", SIMPLEX_STEPS * (len(cost) + 100))):
        with warning_filter("ignore"):  # what it has to say is in the status
            out = linprog(
                cost,
                **rows,
                bounds=np.stack([low, high], 1),
                method=solver,
                options=options | {"maxiter": most, "time_limit": SHORTEST + PER_ENTRY * float(entries)},
            )
        if out.status == 0 and np.isfinite(out.x).all():
            return out
    return None


def vertex(
    U: np.ndarray, c: np.ndarray, w: np.ndarray, lam: np.ndarray, norm: str
) -> tuple[np.ndarray, np.ndarray]:
    """Solve the equations of the basis that (w, lam) shows, as small corrections to (w, lam).

    Rows S with a multiplier are tight: ``U_S w = g c_S``. l1: w lives on columns T with signs s, where ``s'w_T = 1`` and
    ``U_ST'lam = g s``. linf: T are the columns strictly inside the box, where ``U_ST'lam = 0``. With ``c_S'lam = 1`` these are
    two linear systems, transposes of each other (R: the columns outside T; s = 0 in linf):

        [U_ST  -c_S] [w_T]   [-U_SR w_R]         [U_ST'  s] [lam_S]   [ 0]
        [ s'     0 ] [ g ] = [1, or 0  ]         [-c_S'  0] [ -g  ] = [-1]
    """
    S = lam > DUST * lam.max()
    T = np.abs(w) > DUST if norm == "l1" else np.abs(w) < 1 - DUST
    if not S.any():
        return w, lam
    s = np.sign(w[T]) if norm == "l1" else np.zeros(T.sum())
    g = float((lam @ U) @ w) / float(lam @ c)
    M = np.block([[U[np.ix_(S, T)], -c[S, None]], [s, np.zeros(1)]])
    right = np.append(-U[S][:, ~T] @ w[~T], s.any())
    below = np.append(np.zeros(T.sum()), -1.0)
    primal, dual = np.append(w[T], g), np.append(lam[S], -g)
    for _ in range(2):
        primal += np.linalg.lstsq(M, right - M @ primal, rcond=None)[0]
        dual += np.linalg.lstsq(M.T, below - M.T @ dual, rcond=None)[0]
    w, lam = w.copy(), np.zeros_like(lam)
    w[T], lam[S] = primal[:-1], np.maximum(dual[:-1], 0)
    if norm == "l1":
        w[~T] = 0
    return w, lam
