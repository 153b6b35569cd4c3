"""Hard margins of many small data sets at once: the solver in a loop, everything around it in one go."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from margin_lab.checks import choice, positive, signed_data
from margin_lab.hard_margins.binary import hard_margin
from margin_lab.hard_margins.dual_active_set import FEASIBLE, STEPS
from margin_lab.hard_margins.solution import EPS, NotSeparableError, length

NOT_SEPARABLE = "not separable"


@dataclass(frozen=True)
class HardMargins:
    """The l2 hard margins of S data sets, each with the two numbers that enclose it; see ``HardMargin``.

    Attributes:
        w: ``[S, d]`` unit directions. margin, upper_bound, gap: ``[S]``, float64. dual: ``[S, n]`` weights in the simplex.
        status: S strings: those of ``HardMargin``, or ``"not separable"``, which is proved: margin and upper bound are then 0,
            the gap inf, and dual holds the weights that prove it.
    """

    w: Any
    margin: Any
    upper_bound: Any
    gap: Any
    dual: Any
    status: tuple[str, ...]

    def __repr__(self) -> str:
        counts = {s: self.status.count(s) for s in dict.fromkeys(self.status)}
        return (
            f"HardMargins({len(self.status)} sets: " + ", ".join(f"{n} {s}" for s, n in counts.items()) + ")"
        )


def hard_margins(X: Any, y: Any, tol: float = 1e-10, norm: str = "l2") -> HardMargins:
    """Return the max-margin directions of S data sets of one shape, each certified as by :func:`hard_margin`.

    Small sets cost their solver's microseconds: checks, scaling and certificates are computed for all sets at once. A set that
    this does not certify goes to ``hard_margin`` by itself, so nothing is lost.

    Args:
        X: ``[S, n, d]``, y: ``[S, n]``, -1 or +1. tol: relative gap wanted. norm: ``"l2"``.

    Returns:
        ``HardMargins``. A set that is not separable does not raise: its ``status`` says so.

    Raises:
        ValueError: bad data, labels, tol or norm.

    Example:
        >>> import numpy as np
        >>> sols = hard_margins([[[3.0, 4.0]], [[0.0, -5.0]]], [[1], [-1]])
        >>> sols.margin.round(9), sols
        (array([5., 5.]), HardMargins(2 sets: 2 certified))
    """
    Z, restore = signed_data(X, y, batched=True)
    if Z.ndim != 3:
        raise ValueError(
            f"X must have shape [S, n, d], got {tuple(Z.shape)}; for one data set use hard_margin"
        )
    positive(tol, "tol")
    choice(norm, "norm", ("l2",))
    dtype, Z = Z.dtype, Z.double()
    w, p = _solved(Z)
    lower, upper, gap, sure = _bounds(Z, w, p)
    good = sure & (gap <= tol)
    status = ["certified"] * len(Z)
    for k in (~good).nonzero().squeeze(1).tolist():
        try:
            one = hard_margin(Z[k], Z.new_ones(Z.shape[1]), norm, tol)
        except NotSeparableError as error:
            w[k], p[k], lower[k], upper[k], gap[k] = 0.0, error.certificate, 0.0, 0.0, math.inf
            status[k] = NOT_SEPARABLE
        else:
            w[k], p[k], lower[k], upper[k], gap[k] = one.w, one.dual, one.margin, one.upper_bound, one.gap
            status[k] = one.status
    return HardMargins(
        restore(w.to(dtype)),
        restore(lower),
        restore(torch.maximum(lower, upper)),
        restore(gap),
        restore(p.to(dtype)),
        tuple(status),
    )


def _solved(Z: Tensor) -> tuple[Tensor, Tensor]:
    """DAQP's w ``[S, d]`` and weights ``[S, n]``; zeros where it gives up."""
    import daqp

    S, n, d = Z.shape
    rows = length(Z, 2.0)
    rows = torch.where(rows > 0, rows, 1.0)
    U = (Z / rows[..., None]).cpu().numpy()
    c = rows.amin(1, keepdim=True) / rows
    bounds = c.cpu().numpy()
    w, lam = np.zeros((S, d)), np.zeros((S, n))
    eye, zero, high = np.eye(d), np.zeros(d), np.full(n, 1e30)
    for k in range(S):
        x, _, flag, info = daqp.solve(
            eye,
            zero,
            U[k],
            high,
            bounds[k],
            np.zeros(n, dtype=np.int32),
            primal_tol=FEASIBLE,
            iter_limit=STEPS,
        )
        if flag == 1:
            w[k], lam[k] = x, info["lam"]
    return torch.from_numpy(w).to(Z), torch.from_numpy(np.maximum(-lam, 0.0)).to(Z) * c


def _bounds(Z: Tensor, w: Tensor, p: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Both bounds of every set with their rounding errors in the gap, as in ``Bounds``, and whether w surely separates.

    w and p are scaled in place, to length 1 and sum 1. No bound that is NaN or infinite gives a finite gap.
    """
    w /= length(w, 2.0)[:, None]
    p /= p.sum(1, keepdim=True)
    A = Z.abs()
    m = (Z @ w[..., None]).squeeze(-1)
    error = EPS * (A @ w.abs()[..., None]).squeeze(-1)
    lower = m.amin(1)
    g = (p[:, None] @ Z).squeeze(1)
    high = g.abs() + EPS * (p[:, None] @ A).squeeze(1)
    upper = length(g, 2.0)
    rounding = lower - (m - error).amin(1) + length(high, 2.0) - upper
    gap = ((upper - lower).clamp_min(0.0) + rounding) / lower
    sure = ((m - (Z.shape[2] + 2) * error).amin(1) > 1e-300) & torch.isfinite(gap)
    return lower, upper, gap, sure
