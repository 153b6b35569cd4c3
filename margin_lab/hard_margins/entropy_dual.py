"""The optimal dual of largest entropy: the weights that gradient flow's softmax tends to, where the dual is not unique."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from margin_lab.checks import as_tensor, positive, signed_data
from margin_lab.hard_margins.binary import hard_margin
from margin_lab.hard_margins.solution import HardMargin

# Weights below this, relative to the largest, belong to samples that no optimal dual gives weight to.
DUST = 1e-9
STEPS = 200


@dataclass(frozen=True, repr=False)
class EntropyDual:
    """The optimal dual of largest entropy, and what proves it.

    Attributes:
        dual: ``[n]`` weights in the simplex, 0 off the margin; type and device of the data, float64.
        entropy: ``H(p) = -sum_i p_i log p_i``.
        entropy_bound: no weights on the margin's samples with the same ``Z'p`` have a larger entropy.
        residual: ``||Z'p - Z'p0|| / ||Z'p0||`` with the solution's dual p0: p proves the same upper bound to this.
        support: indices with weight. on_margin: indices of all samples on the margin; others than the support can have no weight
            in any optimal dual.
        status: "certified" (residual and ``entropy_bound - entropy`` at most tol) or "limit".
    """

    dual: Any
    entropy: float
    entropy_bound: float
    residual: float
    support: Any
    on_margin: Any
    status: str

    def __repr__(self) -> str:
        return (
            f"EntropyDual(entropy={self.entropy:.6g}, bound={self.entropy_bound:.6g}, residual={self.residual:.1e}, "
            f"support={len(self.support)} of {len(self.on_margin)} on the margin, status={self.status!r})"
        )


def max_entropy_dual(X: Any, y: Any, solution: HardMargin | None = None, tol: float = 1e-8) -> EntropyDual:
    """Return the optimal dual of largest entropy of an l2 hard margin.

    Where support vectors are dependent the dual is not unique, and a solver returns any. With I the samples on the margin and
    ``g = Z'p0 = gamma* w*``, the one of largest entropy solves

        ``max H(p)  subject to  Z'p = g``, p in the simplex on I   (with an intercept also ``<y, p> = 0``).

    It has the form ``p_i = exp(<z_i, v>) / sum_I`` (all of I positive) unless g is on the boundary of their hull; then the
    samples off g's face get 0 in every optimal dual. For every v, ``H(p) <= log sum_I exp(<z_i, v>) - <g, v>``, the bound that
    is minimised, by Newton's method.

    Args:
        X: ``[n, d]``. y: ``[n]``, -1 or +1. solution: ``hard_margin(X, y)``, or with ``bias=True``; None to compute it.
        tol: what the residual and the distance of the entropy from its bound may be.

    Returns:
        ``EntropyDual``.

    Raises:
        NotSeparableError: nothing separates the data.
        ValueError: bad data; a solution in another norm than l2 (there inequalities bound the optimal duals), or of other data.

    Example:
        >>> import numpy as np
        >>> Z = np.array([[0.3, 1.0], [0.3, -1.0], [0.3, -1.0]])
        >>> hard_margin(Z, np.ones(3)).dual.round(6) + 0.0
        array([0.5, 0.5, 0. ])
        >>> max_entropy_dual(Z, np.ones(3)).dual.round(6)
        array([0.5 , 0.25, 0.25])

    Source: Jaynes (1957) for the form; Csiszar (1975) for the boundary. Soudry et al. (2018), Theorem 4, for what it is the limit
    of.
    """
    positive(tol, "tol")
    Z, restore = signed_data(X, y)
    rows = Z.double().cpu().numpy()
    labels = as_tensor(y, "y").double().cpu().numpy()
    sol = hard_margin(X, y) if solution is None else solution
    if sol.norm != "l2":
        raise ValueError(
            f"solution must be of the l2 norm, got {sol.norm!r}: there inequalities bound the optimal duals"
        )
    w, p0 = (as_tensor(a, name).double().cpu().numpy() for a, name in ((sol.w, "w"), (sol.dual, "dual")))
    margins = rows @ w + labels * sol.b if w.shape == rows.shape[1:] else np.empty(0)
    if p0.shape != (len(rows),) or not np.isclose(margins.min(initial=np.inf), sol.margin, rtol=1e-3):
        raise ValueError("the solution is not of this data: pass hard_margin(X, y), or leave it out")
    if sol.b != 0:
        rows = np.hstack([rows, labels[:, None] * np.abs(rows).max()])
    on_margin = as_tensor(sol.on_margin, "on_margin").long().cpu().numpy()
    p0 = np.where(np.isin(np.arange(len(p0)), on_margin), np.maximum(p0, 0), 0)
    g = (p0 / p0.sum()) @ rows
    A = rows[on_margin] - g
    q, bound = _largest_entropy(A / (np.abs(A).max() or 1.0))
    p = np.zeros(len(rows))
    p[on_margin] = q
    support = np.flatnonzero(p)
    residual = float(np.linalg.norm(p @ rows - g) / np.linalg.norm(g))
    entropy = float(p[support] @ -np.log(p[support]))
    certified = residual <= tol and bound - entropy <= tol
    return EntropyDual(
        dual=restore(torch.from_numpy(p)),
        entropy=entropy,
        entropy_bound=max(bound, entropy),
        residual=residual,
        support=restore(torch.from_numpy(support)),
        on_margin=restore(torch.from_numpy(on_margin)),
        status="certified" if certified else "limit",
    )


def _largest_entropy(A: np.ndarray) -> tuple[np.ndarray, float]:
    """The weights of largest entropy with ``A'p = 0`` (0 where there can be none), and the bound on entropies."""
    p, bound = _minimised(A)
    kept = p > DUST * p.max()
    while not kept.all():
        q, _ = _minimised(A[kept])
        p = np.zeros(len(A))
        p[kept] = q
        still = p > DUST * p.max()
        if still.sum() == kept.sum():
            break
        kept = still
    return p, bound


def _minimised(A: np.ndarray) -> tuple[np.ndarray, float]:
    """Minimise ``log sum exp(A v)`` by Newton's method with backtracking: its softmax and its value, a bound on entropies."""
    _, s, V = np.linalg.svd(A, full_matrices=False)
    A = A @ V[s > 1e-12 * max(s[0], 1e-300)].T  # directions that move no sample
    v = np.zeros(A.shape[1])

    def value(v: np.ndarray) -> tuple[float, np.ndarray]:
        e = A @ v
        top = float(e.max(initial=-np.inf))
        weights = np.exp(e - top)
        return top + float(np.log(weights.sum())), weights / weights.sum()

    f, p = value(v)
    for _ in range(STEPS):
        slope = p @ A
        centred = A - slope
        H = centred.T @ (p[:, None] * centred)
        step = np.linalg.lstsq(H, -slope, rcond=1e-14)[0]
        decrease = -float(slope @ step)
        if not decrease > 1e-30:
            break
        t = 1.0
        while t > 1e-8:
            new, q = value(v + t * step)
            if new <= f - 1e-4 * t * decrease + 1e-15 * max(1.0, abs(f)):
                break
            t /= 2
        else:
            break
        v, f, p = v + t * step, new, q
        if decrease < 1e-26:
            break
    return p, f
