"""Whether a hyperplane through the origin separates the data: a proof either way, the same in every norm, or no verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from margin_lab.hard_margins.closest_point import ClosestPoint, Optimum
from margin_lab.hard_margins.exact_arithmetic import EPS, is_scaled, least_sign, powers_of_two

# Bit operations that a verdict in rational arithmetic may take: some ten seconds with python-flint.
WORK = 1e11
# Weights below this, relative to the largest, are not part of a support.
DUST = 1e-12
Solver = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


class Verdict(NamedTuple):
    """``separable``: True with a w that separates, False with weights p that refute every w, both proved; None without proof.

    w and p are the nearest that floats come to the exact ones.
    """

    separable: bool | None
    w: np.ndarray | None = None
    p: np.ndarray | None = None


def decide(Z: np.ndarray, w: np.ndarray, p: np.ndarray, solvers: Sequence[Solver]) -> Verdict:
    """Prove that some w has ``Zw > 0``, or that weights ``p >= 0, p != 0`` have ``Z'p = 0`` (Gordan 1873).

    The cheapest proof first: the candidates as they are, then those of a solver on equilibrated data (scaling rows and columns
    changes no verdict, and powers of two change no digit), and rational arithmetic.

    Args:
        Z: ``[n, d]`` float64. w: ``[d]``, p: ``[n]``: a solver's candidates.
        solvers: each maps rows to more candidates (w, p); the fastest first, after which rational arithmetic has its turn.
    """
    zero = ~Z.any(1)
    if zero.any():
        return Verdict(False, p=zero / zero.sum())
    verdict = proved(Z, w, p)
    if verdict.separable is not None:
        return verdict
    V, r, c = powers_of_two(Z)
    for k, solve in enumerate(solvers):
        v, q = solve(V)
        w, p = (_unscaled(v, c) if v.any() else w), (_unscaled(q, r) if q.any() else p)
        verdict = proved(Z, w, p)
        if verdict.separable is None and k == 0:
            verdict = rational(Z, p)
        if verdict.separable is not None:
            return verdict
    return verdict


def proved(Z: np.ndarray, w: np.ndarray, p: np.ndarray) -> Verdict:
    """The verdict that these candidates prove, if any."""
    if w.any() and least_sign(Z, w) > 0:
        return Verdict(True, w=w)
    weights = null_weights(Z, p)
    return Verdict(None) if weights is None else Verdict(False, p=weights)


def null_weights(Z: np.ndarray, p: np.ndarray) -> np.ndarray | None:
    """Return weights next to exact ones with ``Z'p = 0``, ``p >= 0``, or None where floats do not prove that there are any.

    On the rows B with large weights a right inverse Y of ``Z_B'`` moves p to an exact solution, by at most
    ``|Y| ||Z'p|| / (1 - ||I - Z_B'Y||)``: weights that are larger stay positive. All norms are of the largest entry, and every
    rounding error is bounded above (Rump 1999). Needs rows that span all columns; what is flat goes to :func:`rational`.
    """
    V, r, c = powers_of_two(Z)
    used = V.any(0)
    V = V[:, used]
    with np.errstate(over="ignore"):
        q = np.ldexp(p, -r)
    if not (q > 0).any() or not np.isfinite(q).all() or not is_scaled(V, Z[:, used], r, c[used]):
        return None
    q = np.where(q > DUST * q.max(), q, 0.0) / q.max()
    S = np.flatnonzero(q)
    d = V.shape[1]
    if len(S) <= d:
        return None
    S = S[np.argsort(-q[S], kind="stable")]
    A, q = V[S].T, q[S]
    k = min(len(S), 2 * d)
    B = A[:, :k]
    Y = q[:k, None] * np.linalg.pinv(B * q[:k])
    slack = (np.abs(np.eye(d) - B @ Y) + (k + 3) * EPS * (np.abs(B) @ np.abs(Y) + np.eye(d))).sum(1).max()
    if not slack < 0.5:
        return None
    for step in range(4):
        rest = A @ q
        error = 1.01 * (np.abs(rest) + (len(S) + 3) * EPS * (np.abs(A) @ q)).max()
        # proved, and polished at least once: what is returned is exact to rounding
        if step and (1.01 * np.abs(Y).sum(1) * error / (1 - 1.01 * slack) < q[:k]).all():
            out = np.zeros(len(Z))
            out[S] = q
            out = np.ldexp(out, r - r.max())
            return out / out.sum() if (out[S] > 0).all() else None
        q = q.copy()
        q[:k] -= Y @ rest
        if (q <= 0).any():
            return None
    return None


def rational(Z: np.ndarray, p: np.ndarray) -> Verdict:
    """Decide in rational arithmetic, from the rows with weights; no verdict where that would take too long."""
    S = np.flatnonzero(p > DUST * p.max()) if np.isfinite(p).all() else np.zeros(0, dtype=np.int64)
    S = S[np.argsort(-p[S], kind="stable")]
    d = Z.shape[1]
    if 0 < len(S) < len(Z) and len(S) <= 4 * d:  # a contradiction of few rows is one of all
        part = ClosestPoint(Z[S]).solve(range(min(len(S), d)), WORK / 4)
        if part is not None and not part.separable:
            return Verdict(False, p=_weights(len(Z), S[part.active], part))
    out = ClosestPoint(Z).solve(S[:d].tolist(), WORK)
    if out is None:
        return Verdict(None)
    if not out.separable:
        return Verdict(False, p=_weights(len(Z), np.array(out.active), out))
    return Verdict(True, w=out.direction())


def _weights(n: int, active: np.ndarray, optimum: Optimum) -> np.ndarray:
    p = np.zeros(n)
    p[active] = optimum.shares()
    return p


def _unscaled(v: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """``v * 2**exponents`` times a power of two that keeps the largest entry near 1."""
    mantissa, own = np.frexp(v)
    own = own + exponents
    return np.ldexp(mantissa, own - own[v != 0].max())
