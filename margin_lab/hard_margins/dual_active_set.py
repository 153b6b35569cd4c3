"""l2 hard margin by a dual active-set solver (DAQP), on samples of the rows that grow, and on fewer columns by QR."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from margin_lab.hard_margins.samples import Answer, Pair, working_rows

# DAQP's tolerance on unit rows (its default, 1e-6, certifies 1e-6), and its iterations, of which Gaussian data needs some d.
FEASIBLE, STEPS = 1e-11, 10_000
# From this many rows on, samples of them are solved first.
DIRECT = 2500


def least_distance(U: np.ndarray, c: np.ndarray) -> Iterator[Pair]:
    """Yield pairs for ``min ||w||, Uw >= c``: the solver's, and the same with the last digits polished.

    Where no w exists, the multipliers' combination of rows is nearly zero.

    Args:
        U: ``[n, d]`` unit rows, float64.
        c: ``[n]`` right-hand sides, in (0, 1].

    Yields:
        Nothing where every solver runs out of iterations.

    Source: Arnström, Bemporad and Axehill, A dual active-set solver for embedded quadratic programming using recursive LDL'
    updates, IEEE Trans. Automatic Control 67 (2022), for DAQP.
    """
    n, d = U.shape
    if d > n:  # w lies in the span of the rows: U w = R' (Q'w)
        Q, R = np.linalg.qr(U.T)
        for w, lam in least_distance(np.ascontiguousarray(R.T), c):
            yield Pair(Q @ w, lam)
        return
    found = on_rows(U, c) if n <= DIRECT else on_samples(U, c)
    if found is None:
        return
    yield found
    polished = polish(U, c, found.lam)
    if polished is not None:
        yield polished


def on_rows(U: np.ndarray, c: np.ndarray, active: np.ndarray | None = None) -> Pair | None:
    """Solve with all rows at once, from a guess of the active ones; by NNLS where DAQP gives up.

    DAQP's "infeasible" is an opinion: it says so of columns scaled by 10^6. NNLS decides; where no w exists its multipliers
    combine the rows to nearly zero.
    """
    import daqp

    n, d = U.shape
    sense = np.zeros(n, dtype=np.int32)
    if active is not None:
        sense[active] = 1
    w, _, flag, info = daqp.solve(
        np.eye(d), np.zeros(d), U, np.full(n, 1e30), c, sense,
        primal_tol=FEASIBLE, iter_limit=STEPS,
    )  # fmt: skip
    if flag == 1:
        lam = np.maximum(-info["lam"], 0.0)
        if np.isfinite(w).all() and np.isfinite(lam).all() and lam.any():
            return Pair(w, lam)
    return non_negative_least_squares(U, c)


def non_negative_least_squares(U: np.ndarray, c: np.ndarray) -> Pair | None:
    """With ``a = argmin_{a >= 0} ||U'a||^2 + (c'a - 1)^2`` the solution is along ``U'a``; a residual of 0: no w exists.

    Source: Lawson and Hanson, Solving Least Squares Problems (1974), chapter 23.
    """
    from scipy.optimize import nnls

    try:
        lam = nnls(np.vstack([U.T, c]), np.append(np.zeros(U.shape[1]), 1.0))[0]
    except RuntimeError:  # out of iterations
        return None
    return Pair(lam @ U, lam)


def on_samples(U: np.ndarray, c: np.ndarray) -> Pair | None:
    """Solve for samples of the rows that grow."""

    def solve(U: np.ndarray, c: np.ndarray, active: np.ndarray) -> Answer | None:
        pair = on_rows(U, c, active)
        # NNLS returns a multiple of w
        return None if pair is None else Answer(*pair, height=max(float((U @ pair.w / c).min()), 0.0))

    found = working_rows(U, c, solve, FEASIBLE)
    if found is None:
        return None
    rows, answer = found
    lam = np.zeros(len(U))
    lam[rows] = answer.lam
    return Pair(answer.w, lam)


def polish(U: np.ndarray, c: np.ndarray, lam: np.ndarray) -> Pair | None:
    """Solve ``U_S w = c_S`` and ``U_S'lam = w`` on the support S of lam by least squares, so that duplicates do no harm."""
    S = np.flatnonzero(lam)
    if len(S) == 0:
        return None
    w = np.linalg.lstsq(U[S], c[S], rcond=None)[0]
    w += np.linalg.lstsq(U[S], c[S] - U[S] @ w, rcond=None)[0]  # one step of refinement
    lam = np.zeros_like(lam)
    lam[S] = np.linalg.lstsq(U[S].T, w, rcond=None)[0]
    return Pair(w, lam)
