"""l2 hard margin by non-negative least squares: the fastest way while the data is small."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def least_distance(U: np.ndarray, c: np.ndarray, *, polish: int = 20) -> Iterator[tuple[Any, Any]]:
    """Yield pairs (w, lam) for ``min ||w||, Uw >= c``, each meant to be better than the one before.

    Lawson and Hanson's least-distance programming: with ``a = argmin_{a >= 0} ||U'a||^2 + (c'a - 1)^2`` the
    solution is proportional to ``U'a``, and a residual of 0 means that no w exists. That is the first pair. Then
    the active-set polish: on the support S solve ``U_S w = c_S`` by least squares, drop a negative multiplier,
    else add the most violated row.

    Args:
        U: ``[n, d]`` unit rows, float64.
        c: ``[n]`` right-hand sides, in (0, 1].
        polish: active-set steps allowed.

    Source: Lawson and Hanson, Solving Least Squares Problems (1974), chapter 23.
    """
    from scipy.optimize import nnls

    try:
        lam = nnls(np.vstack([U.T, c]), np.append(np.zeros(U.shape[1]), 1.0))[0]
    except (RuntimeError, np.linalg.LinAlgError):  # out of iterations: the caller has another solver
        return
    yield lam @ U, lam

    support = lam > 0
    for _ in range(polish):
        if not support.any():
            return
        US = U[support]
        w = np.linalg.lstsq(US, c[support])[0]
        w += np.linalg.lstsq(US, c[support] - US @ w)[0]  # one step of refinement
        part = np.linalg.lstsq(US.T, w)[0]
        lam = np.zeros(len(c))
        lam[support] = part
        yield w, lam
        slack = U @ w - c
        if part.min() < 0:
            support[np.flatnonzero(support)[part.argmin()]] = False
        elif slack[~support].min(initial=0.0) < -1e-14 * np.linalg.norm(w):
            support[np.where(support, np.inf, slack).argmin()] = True
        else:
            return
