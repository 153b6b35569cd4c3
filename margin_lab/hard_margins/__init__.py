"""Exact hard margins with certificates: the ruler that everything else is measured with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..checks import choice, positive, signed_data
from .linear_program import margin_program
from .nnls import least_distance
from .proximal import proximal_point
from .solution import Bounds, HardMargin, NotSeparableError, length

__all__ = ["HardMargin", "NotSeparableError", "hard_margin"]


def hard_margin(X: Any, y: Any, norm: str = "l2", tol: float = 1e-10, method: str = "auto") -> HardMargin:
    """Return the max-margin direction of binary data, with bounds that prove it.

    Solves ``gamma* = max_{||w|| <= 1} min_i y_i <x_i, w>``, no bias: append a column of ones to X for one. Whatever the
    method, the answer is certified by two products in float64, from w and from explicit weights in the simplex,

        ``margin = min_i y_i <x_i, w>  <=  gamma*  <=  ||sum_i dual_i y_i x_i||_dual = upper_bound``.

    float32 (and integer) data is solved in float64 and only the returned w and dual are rounded back: in float32 the
    bounds themselves are off by 1e-6 and more. CPU and CUDA tensors run the same lines; NNLS and HiGHS work on the CPU.

    Args:
        X: ``[n, d]`` array or tensor, one sample a row. Scales from 1e-200 to 1e+150 are fine.
        y: ``[n]`` labels, -1 or +1.
        norm: norm of w: ``"l2"``, ``"l1"`` (sparse w; margin in linf distance) or ``"linf"`` (margin in l1 distance).
        tol: relative gap wanted. Below it, ``status`` is ``"certified"``.
        method: ``"auto"``, or one solver alone. l2: ``"nnls"`` (Lawson-Hanson, small data) or ``"proximal"`` (proximal point
            with semismooth Newton); auto starts with the faster one and gives the other a go if the gap is above tol.
            l1 and linf: ``"highs"``.

    Returns:
        ``HardMargin``: w, margin, upper_bound, gap, dual, support, status and diagnostics.

    Raises:
        NotSeparableError: no direction has a positive margin, as far as float64 can tell; holds the weights that prove it.
        ValueError: misshapen, empty or non-finite data, labels other than -1 and +1, unknown norm or method, ``tol <= 0``.

    Example:
        >>> import numpy as np
        >>> sol = hard_margin(np.array([[3.0, 4.0], [0.0, -5.0]]), np.array([1, -1]))
        >>> sol.w.round(3), round(sol.margin, 3), sol.status
        (array([0.316, 0.949]), 4.743, 'certified')

    Sources: Lawson and Hanson (1974) for NNLS; Rockafellar (1976) for the proximal point; Gordan (1873) for the certificate
    of no separator.
    """
    Z, restore = signed_data(X, y)
    choice(norm, "norm", ("l1", "l2", "linf"))
    positive(tol, "tol")
    choice(method, f"method for norm={norm!r}", ("auto", "nnls", "proximal") if norm == "l2" else ("auto", "highs"))
    dtype, Z = Z.dtype, Z.double()

    bounds = Bounds(Z, norm)
    zero_rows = (Z == 0).all(1)
    used, products, status = [], None, ""
    if bool(zero_rows.any()):  # a point at the origin contradicts every w by itself
        bounds.offer(p=zero_rows.double())
    else:
        for solver in _plan(Z, norm, method):
            used.append(solver)
            products, status = SOLVERS[solver](bounds, tol)
            if bounds.gap <= tol or bounds.zero:
                break
        if norm != "l2" and method == "auto" and bounds.lower <= 10 * bounds.lower_error and not bounds.zero:
            # HiGHS stops at 1e-10. Separability is the same in every norm, and in l2 it is decided to rounding.
            _separability(bounds, tol)

    if bounds.zero:
        assert bounds.p is not None  # for the type checker: no bound without its weights
        raise NotSeparableError(restore(bounds.p), bounds.upper, norm)
    return _answer(bounds, restore, dtype, tol, status, "+".join(used), products)
