"""l2 hard margin by non-negative least squares: the fastest way while the data is small."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def least_distance(U: np.ndarray, c: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs (w, lam) for ``min ||w||, Uw >= c``: that of NNLS, then the same with the last digits polished.

    Lawson and Hanson's least-distance programming: with ``a = argmin_{a >= 0} ||U'a||^2 + (c'a - 1)^2`` the
    solution is proportional to ``U'a``, and a residual of 0 means that no w exists. The polish solves
    ``U_S w = c_S`` and ``U_S'lam = w`` on the support S of a by least squares, so that duplicates do no harm.

    Args:
        U: ``[n, d]`` unit rows, float64.
        c: ``[n]`` right-hand sides, in (0, 1].

    Yields:
        w ``[d]`` and multipliers ``[n]``, to a common factor; nothing where NNLS runs out of iterations.

    Source: Lawson and Hanson, Solving Least Squares Problems (1974), chapter 23.
    """
    from scipy.optimize import nnls

    try:
        lam = nnls(np.vstack([U.T, c]), np.append(np.zeros(U.shape[1]), 1.0))[0]
    except RuntimeError:
        return
    yield lam @ U, lam

    S = np.flatnonzero(lam)
    if len(S) == 0:
        return
    w = np.linalg.lstsq(U[S], c[S], rcond=None)[0]
    w += np.linalg.lstsq(U[S], c[S] - U[S] @ w, rcond=None)[0]  # one step of refinement
    lam = np.zeros_like(lam)
    lam[S] = np.linalg.lstsq(U[S].T, w, rcond=None)[0]
    yield w, lam
