"""The exact hard margin of binary data: solvers tried in turn until a certificate settles the gap."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from margin_lab.checks import as_tensor, choice, norm_name, positive, signed_data
from margin_lab.hard_margins.intercept import with_intercept
from margin_lab.hard_margins.linear_program import margin_program
from margin_lab.hard_margins.nnls import least_distance
from margin_lab.hard_margins.proximal import proximal_point
from margin_lab.hard_margins.solution import Bounds, HardMargin, NotSeparableError, restored, unit_rows


def hard_margin(
    X: Any, y: Any, norm: str | float = "l2", tol: float = 1e-10, method: str = "auto", bias: bool = False
) -> HardMargin:
    """Return the max-margin direction of binary data, with bounds that prove it.

    Solves ``gamma* = max_{||w|| <= 1} min_i y_i <x_i, w>``; with ``bias=True``, ``min_i y_i (<x_i, w> + b)`` with an intercept
    b that is no part of the norm. (A column of ones in X is something else: its weight is, and the separator is another one.)
    Whatever the method, the answer is certified by two products in float64, from w and from explicit weights
    in the simplex,

        ``margin = min_i y_i <x_i, w>  <=  gamma*  <=  ||sum_i dual_i y_i x_i||_dual = upper_bound``.

    float32 (and integer) data is solved in float64 and only the returned w and dual are rounded back: in
    float32 the bounds themselves are off by 1e-6 and more. CPU and CUDA tensors run the same lines; NNLS and
    HiGHS work on the CPU.

    Args:
        X: ``[n, d]`` array or tensor, one sample a row. Scales from 1e-200 to 1e+150 are fine.
        y: ``[n]`` labels, -1 or +1.
        norm: norm of w: ``"l2"``, ``"l1"`` (sparse w; margin in linf distance) or ``"linf"`` (margin in l1
            distance).
        tol: relative gap wanted. Below it, ``status`` is ``"certified"``.
        method: ``"auto"``, or one solver alone. l2: ``"nnls"`` (Lawson-Hanson, small data) or ``"proximal"``
            (proximal point with semismooth Newton); auto starts with the faster one and gives the other a go
            if the gap is above tol. l1 and linf: ``"highs"``.
        bias: whether to look for an intercept ``sol.b``, too. Then ``upper_bound`` holds for weights that are 1/2 in each class.

    Returns:
        ``HardMargin``: w, margin, upper_bound, gap, dual, support, status and diagnostics.

    Raises:
        NotSeparableError: no direction has a positive margin, as far as float64 can tell; holds the weights
            that prove it.
        ValueError: misshapen, empty or non-finite data, labels other than -1 and +1, unknown norm or method,
            ``tol <= 0``.

    Example:
        >>> import numpy as np
        >>> sol = hard_margin(np.array([[3.0, 4.0], [0.0, -5.0]]), np.array([1, -1]))
        >>> sol.w.round(3), round(sol.margin, 3), sol.status
        (array([0.316, 0.949]), 4.743, 'certified')

    Sources: Lawson and Hanson (1974) for NNLS; Rockafellar (1976) for the proximal point; Gordan (1873) for
    the certificate of no separator.
    """
    Z, restore = signed_data(X, y)
    norm = norm_name(norm)
    choice(norm, "norm", tuple(METHODS))
    choice(method, f"method for norm={norm!r}", ("auto", *METHODS[norm]))
    positive(tol, "tol")
    dtype, Z = Z.dtype, Z.double()
    if bias:
        labels = as_tensor(y, "y", device=Z.device).double()
        return restored(lambda: with_intercept(hard_margin, Z, labels, norm, tol, method), dtype, restore)

    bounds = Bounds(Z, norm)
    used: list[str] = []
    reports: list[Report] = []
    zero_rows = (Z == 0).all(1)
    if bool(zero_rows.any()):  # a sample at the origin contradicts every w by itself
        bounds.offer(p=zero_rows.double())
    else:
        for name in _plan(Z, norm) if method == "auto" else (method,):
            used.append(name)
            reports.append(SOLVERS[name](bounds, tol))
            if bounds.settled(tol):
                break
        if norm != "l2" and not bounds.separates and not bounds.zero:
            # HiGHS stops at 1e-10; separability is the same in every norm, and in l2 it is decided to rounding.
            l2 = Bounds(Z, "l2")
            for name in _plan(Z, "l2"):
                used.append(name)
                reports.append(SOLVERS[name](l2, tol))
                bounds.offer(l2.w, l2.p)

    if bounds.zero:
        raise NotSeparableError(restore(bounds.p), bounds.upper, norm)
    if bounds.gap <= tol:
        status = "certified"
    elif bounds.at_floor or any(r.status == "rounding floor" for r in reports):
        status = "rounding floor"
    else:
        status = "limit"
    counted = [r.products for r in reports if r.products is not None]
    return HardMargin(
        w=restore(bounds.w.to(dtype)),
        margin=bounds.lower,
        # the true numbers are in this order; rounding may have swapped two equal ones
        upper_bound=max(bounds.upper, bounds.lower),
        gap=bounds.gap,
        dual=restore(bounds.p.to(dtype)),
        support=restore((bounds.p > 1e-10 * bounds.p.max()).nonzero().squeeze(1)),
        status=status,
        norm=norm,
        method="+".join(used),
        products=sum(counted) if counted else None,
    )


class Report(NamedTuple):
    """What a solver says besides the pairs it offers: why it stopped, and its work where it counts it."""

    status: str
    products: float | None = None


def _plan(Z: Tensor, norm: str) -> tuple[str, ...]:
    """Return the solvers to try, the one that is expected to be faster first."""
    if norm != "l2":
        return ("highs",)
    # They cross near n d = 100,000 on Gaussian data, whatever the shape: benchmarks/README.md.
    return ("nnls", "proximal") if Z.numel() <= 100_000 else ("proximal", "nnls")


def _nnls(bounds: Bounds, tol: float) -> Report:
    U, c = unit_rows(bounds.Z, 2.0)
    for w, lam in least_distance(U.cpu().numpy(), c.cpu().numpy()):
        bounds.offer(torch.from_numpy(w).to(c.device), torch.from_numpy(lam).to(c.device) * c)
    return Report("limit")


def _proximal(bounds: Bounds, tol: float) -> Report:
    U, c = unit_rows(bounds.Z, 2.0)
    out = proximal_point(
        U, c, tol / 2
    )  # the bounds are evaluated again from w and p, and must still be below tol
    bounds.offer(out.w, None if out.lam is None else out.lam * c)
    return Report(out.status, out.products)


def _highs(bounds: Bounds, tol: float) -> Report:
    U, c = unit_rows(bounds.Z, math.inf)
    for w, lam in margin_program(U.cpu().numpy(), c.cpu().numpy(), bounds.norm):
        bounds.offer(torch.from_numpy(w).to(c.device), torch.from_numpy(lam).to(c.device) * c)
        if bounds.settled(tol):
            break
    return Report("limit")


METHODS = {"l1": ("highs",), "l2": ("nnls", "proximal"), "linf": ("highs",)}
SOLVERS: dict[str, Callable[[Bounds, float], Report]] = {
    "nnls": _nnls,
    "proximal": _proximal,
    "highs": _highs,
}
