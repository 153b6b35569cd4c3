"""Newton's method for sums of exponentials whose terms differ by hundreds of orders of magnitude."""

from __future__ import annotations

import numpy as np


def graded_minimum(
    C: np.ndarray, q0: np.ndarray, a: np.ndarray, blocks: list[np.ndarray] | None = None, max_steps: int = 200
) -> tuple[np.ndarray, float]:
    """Minimise ``sum_i exp(-(q0 + C a)_i)`` over ``a``; return it and the size of the last Newton step in the margins.

    With ``p_i = exp(-q_i)`` a Newton step is a weighted least-squares problem, ``min_v sum_i p_i (c_i v - 1)^2``. Its weights
    span as many orders of magnitude as the margins do; Householder QR with sorted rows and pivoted columns keeps every row's
    own digits (Powell and Reid 1969, Cox and Higham 1998), so that light samples are seen beside heavy ones wherever ``c_i``
    is exactly 0 for the heavy ones. Where ``blocks`` of columns are given, each block's equation is written relative to the
    heaviest sample that it moves, so that the weights may differ by any factor. The step is shortened to ``log(1 + b)/b``, ``b
    = max |c_i v|``, with which Newton's method on exponentials goes downhill (Sun and Tran-Dinh 2019), without looking at a
    sum that hides its light terms.

    Args:
        C: ``[n, m]``, of full column rank. q0: ``[n]``, margins at ``a = 0``. a: ``[m]``, where to start. blocks: columns of
            C, block after block; a sample that is in a block has exact zeros in all later ones, unless it is light beside
            every sample of these.
    """
    change = 0.0
    if C.shape[1] == 0:
        return a, change
    for _ in range(max_steps):
        q = q0 + C @ a
        v = sorted_step(C, q) if blocks is None else block_step(C, q, blocks)
        move = np.abs(C @ v)
        change = float(move.max())
        a = a + v * (np.log1p(change) / change if change > 0.3 else 1.0)
        if change <= 1e-13 * max(1.0, np.abs(a).max()):
            break
    return a, change


def sorted_step(C: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The Newton step ``v [m]`` for rows ``C [n, m]`` at margins ``q [n]``, by sorted QR."""
    from scipy.linalg import qr, solve_triangular

    root = np.exp(-(q - q.min()) / 2)
    order = np.argsort(-root * np.abs(C).max(1), kind="stable")
    A, b = (root[:, None] * C)[order], root[order]
    Q, R, pivots = qr(A, mode="economic", pivoting=True)
    rank = int((np.abs(np.diag(R)) > 1e-290).sum())
    v = np.zeros(C.shape[1])
    v[pivots[:rank]] = solve_triangular(R[:rank, :rank], (Q.T @ b)[:rank])
    return v


def block_step(C: np.ndarray, q: np.ndarray, blocks: list[np.ndarray]) -> np.ndarray:
    """The same step from the equations ``sum_i p_i c_ik (c_i v - 1) = 0``, each block's divided by its largest ``p_i``."""
    H, g = np.zeros((C.shape[1],) * 2), np.zeros(C.shape[1])
    for block in blocks:
        moved = (C[:, block] != 0).any(1)
        weighted = C[np.ix_(moved, block)].T * np.exp(q[moved].min(initial=np.inf) - q[moved])
        H[block], g[block] = weighted @ C[moved], weighted.sum(1)
    step: np.ndarray = np.linalg.lstsq(H, g, rcond=None)[0]
    return step
