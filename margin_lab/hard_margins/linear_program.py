"""l1 and linf hard margins: linear programs by HiGHS, then a correction to the last digits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def margin_program(U: np.ndarray, c: np.ndarray, norm: str) -> Iterator[tuple[Any, Any]]:
    """Yield pairs (w, lam) for ``max g  subject to  Uw >= g c, ||w|| <= 1`` in l1 or linf.

    l1 splits ``w = w+ - w-``; linf bounds every ``|w_j| <= 1``. lam are the multipliers of the rows. Feasible and bounded
    whatever the data (w = 0, g = 0): where the data is not separable, lam is the proof. The first pair is HiGHS's, good to
    its tolerances, 1e-10 absolute; the second solves the equations of the final basis to rounding (``vertex``).

    Args:
        U: ``[n, d]`` rows with largest entry 1, float64.
        c: ``[n]`` right-hand sides, in (0, 1].
        norm: ``"l1"`` or ``"linf"``.

    Source: Huangfu and Hall, Parallelizing the dual revised simplex method, Math. Prog. Comp. 10 (2018), for HiGHS.
    """
    from scipy.optimize import linprog

    n, d = U.shape
    if norm == "l1":
        A = np.vstack([np.hstack([-U, U, c[:, None]]), np.append(np.ones(2 * d), 0.0)])
        bounds = [(0, None)] * (2 * d) + [(None, None)]
        b = np.append(np.zeros(n), 1.0)
    else:
        A = np.hstack([-U, c[:, None]])
        bounds = [(-1, 1)] * d + [(None, None)]
        b = np.zeros(n)
    objective = np.zeros(A.shape[1])
    objective[-1] = -1.0
    options = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10, "presolve": False}
    for solver in ("highs-ipm", "highs-ds"):  # simplex where the interior point stops short
        out = linprog(objective, A_ub=A, b_ub=b, bounds=bounds, method=solver, options=options)
        if out.status == 0:
            break
    else:
        return
    w = out.x[:d] - out.x[d : 2 * d] if norm == "l1" else out.x[:d]
    lam = np.maximum(-out.ineqlin.marginals[:n], 0)
    yield w, lam
    yield vertex(U, c, w, lam, norm)


def vertex(U: np.ndarray, c: np.ndarray, w: np.ndarray, lam: np.ndarray, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """Solve the equations of the basis that (w, lam) shows, as small corrections to (w, lam).

    Rows S with a multiplier are tight: ``U_S w = g c_S``. l1: w lives on columns T, ``s_T'w_T = 1`` with signs s; there
    ``U_S'lam = g s``. linf: the columns T are those strictly inside the box; there ``U_S'lam = 0``. With ``c_S'lam = 1`` these are
    two linear systems of the same few rows and columns, transposes of each other.
    """
    S = lam > 0
    T = w != 0 if norm == "l1" else np.abs(w) < 1
    if not S.any():
        return w, lam
    sign = np.sign(w[T]) if norm == "l1" else np.zeros(T.sum())
    top = 1.0 if norm == "l1" else 0.0
    g = float((lam @ U) @ w) / float(lam @ c)
    # [U_ST  -c_S] [w_T]   [-U_SR w_R]                 [U_ST'  -s] [lam_S]   [0]
    # [ s'     0 ] [ g ] = [   top   ]       and       [-c_S'   0] [  g  ] = [-1];      R: the columns outside T
    M = np.block([[U[np.ix_(S, T)], -c[S, None]], [sign[None], np.zeros((1, 1))]])
    primal, dual = np.append(w[T], g), np.append(lam[S], -g)
    fixed = U[S][:, ~T] @ w[~T]
    for _ in range(2):
        primal += np.linalg.lstsq(M, np.append(-fixed, top) - M @ primal)[0]
        if norm == "l1":
            dual += np.linalg.lstsq(M.T, np.append(np.zeros(T.sum()), -1.0) - M.T @ dual)[0]
        else:
            dual[:-1] += np.linalg.lstsq(M[:-1].T, np.append(np.zeros(T.sum()), -1.0) - M[:-1].T @ dual[:-1])[0]
    w, lam = w.copy(), lam.copy()
    w[T], lam[S] = primal[:-1], np.maximum(dual[:-1], 0)
    return w, lam
