"""The exact hard margin of binary data: solvers in turn until a certificate settles the gap, a proof where they fail."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from margin_lab.checks import as_tensor, choice, norm_name, positive, signed_data
from margin_lab.hard_margins.dual_active_set import least_distance
from margin_lab.hard_margins.intercept import with_intercept
from margin_lab.hard_margins.linear_program import margin_pairs
from margin_lab.hard_margins.proximal import proximal_point
from margin_lab.hard_margins.rational import affordable, exact_margin
from margin_lab.hard_margins.separability import Verdict, decide
from margin_lab.hard_margins.solution import Bounds, HardMargin, NotSeparableError, restored, unit_rows

# Bit operations of rational arithmetic that a call may take by itself, where float64 stops short of tol: about a second.
WORK = 1e10


def hard_margin(
    X: Any,
    y: Any,
    norm: str | float = "l2",
    tol: float = 1e-10,
    method: str = "auto",
    *,
    bias: bool = False,
    exact: bool = False,
) -> HardMargin:
    """Return the max-margin direction of binary data, with bounds that prove it.

    Solves ``gamma* = max_{||w|| <= 1} min_i y_i <x_i, w>``; with ``bias=True``, ``min_i y_i (<x_i, w> + b)`` with an intercept
    b that is no part of the norm. (A column of ones in X is something else: its weight is, and the separator is another one.)
    Whatever the method, the answer is certified by two products in float64, from w and from explicit weights
    in the simplex,

        ``margin = min_i y_i <x_i, w>  <=  gamma*  <=  ||sum_i dual_i y_i x_i||_dual = upper_bound``.

    Whether the data is separable is proved either way, and is the same in every norm and for every scaling of rows and columns:
    where floats do not decide, rational arithmetic does. Where float64 cannot come down to tol, and the data is small, the margin
    is computed in rational arithmetic, too: ``interval`` then encloses it.

    float32 (and integer) data is solved in float64 and only the returned w and dual are rounded back: in
    float32 the bounds themselves are off by 1e-6 and more. CPU and CUDA tensors run the same lines; DAQP and
    HiGHS work on the CPU.

    Args:
        X: ``[n, d]`` array or tensor, one sample a row. Scales from 1e-200 to 1e+150 are fine.
        y: ``[n]`` labels, -1 or +1.
        norm: norm of w: ``"l2"``, ``"l1"`` (sparse w; margin in linf distance) or ``"linf"`` (margin in l1
            distance).
        tol: relative gap wanted. Below it, ``status`` is ``"certified"``.
        method: ``"auto"``, or one solver alone. l2: ``"daqp"`` (dual active set, on growing samples of the rows; NNLS where
            DAQP gives up) or ``"proximal"`` (proximal point with semismooth Newton); auto gives the second a go if the gap of
            the first is above tol. l1 and linf: ``"highs"``.
        exact: compute the margin in rational arithmetic, starting from float64's answer, whatever it takes: ``interval`` encloses
            it to a relative 1e-15. python-flint (``pip install 'margin-lab[exact]'``) makes that some ten times faster.
        bias: whether to look for an intercept ``sol.b``, too. Then ``upper_bound`` holds for weights that are 1/2 in each class.

    Returns:
        ``HardMargin``: w, margin, upper_bound, gap, dual, support, on_margin, status, interval and diagnostics.

    Raises:
        NotSeparableError: no direction has a positive margin, which is proved; holds the weights that prove it.
        ValueError: misshapen, empty or non-finite data, labels other than -1 and +1, unknown norm or method,
            ``tol <= 0``.

    Example:
        >>> import numpy as np
        >>> sol = hard_margin(np.array([[3.0, 4.0], [0.0, -5.0]]), np.array([1, -1]))
        >>> sol.w.round(3), round(sol.margin, 3), sol.status
        (array([0.316, 0.949]), 4.743, 'certified')

    Sources: Arnström et al. (2022) for DAQP, Clarkson (1995) for growing samples, Lawson and Hanson (1974) for NNLS, Rockafellar
    (1976) for the proximal point, Goldfarb and Idnani (1983) for the method in rational arithmetic, Gordan (1873) for the
    certificate of no separator.
    """
    Z, restore = signed_data(X, y)
    norm = str(norm_name(norm))
    choice(norm, "norm", tuple(METHODS))
    choice(method, f"method for norm={norm!r}", ("auto", *METHODS[norm]))
    positive(tol, "tol")
    dtype, Z = Z.dtype, Z.double()
    if bias:
        if exact:
            raise ValueError(
                "exact=True computes hyperplanes through the origin only: leave out exact or bias"
            )
        labels = as_tensor(y, "y", device=Z.device).double()
        return restored(lambda: with_intercept(hard_margin, Z, labels, norm, tol, method), dtype, restore)

    bounds = Bounds(Z, norm)
    used: list[str] = []
    reports: list[Report] = []
    if not bounds.has_zero_row:  # a sample at the origin contradicts every w by itself
        for name in METHODS[norm] if method == "auto" else (method,):
            used.append(name)
            reports.append(SOLVERS[name](bounds, tol))
            # where float64 falls short on small data, rational arithmetic is faster than another solver, and surer
            if bounds.settled(tol) or (method == "auto" and affordable(bounds, WORK)):
                break
    if not (math.isfinite(bounds.lower) and math.isfinite(bounds.upper)):
        bounds.offer_mean()

    if not bounds.separated:
        verdict = _verdict(bounds)
        if verdict.separable is False:
            refuted = Bounds(Z, norm)
            refuted.offer(p=torch.as_tensor(verdict.p).to(Z))
            raise NotSeparableError(restore(refuted.p), refuted.upper, norm)
        if verdict.separable:
            bounds.offer(torch.as_tensor(verdict.w).to(Z))
            bounds.separated = True
    if bounds.separated and (exact or (method == "auto" and not bounds.gap <= tol)):
        found = exact_margin(bounds, math.inf if exact else WORK)
        if found is not None:
            used.append("rational")
            w, p = (torch.from_numpy(a).to(Z) for a in (found.w, found.p))
            bounds.enclose(w, p, found.lower, found.upper, found.tight)
    counted = [r.products for r in reports if r.products is not None]
    return HardMargin(
        w=restore(bounds.w.to(dtype)),
        margin=bounds.lower if bounds.separated else min(bounds.lower, 0.0),
        # the true numbers are in this order; rounding may have swapped two equal ones
        upper_bound=max(bounds.upper, bounds.lower),
        gap=bounds.gap if bounds.separated else math.inf,
        dual=restore(bounds.p.to(dtype)),
        support=restore(bounds.support()),
        status=bounds.status(tol, any(r.status == "rounding floor" for r in reports)),
        norm=norm,
        method="+".join(used),
        products=sum(counted) if counted else None,
        on_margin=restore(bounds.on_margin()),
        interval=bounds.exact,
    )


class Report(NamedTuple):
    """What a solver says besides the pairs it offers: why it stopped, and its work where it counts it."""

    status: str
    products: float | None = None


def _verdict(bounds: Bounds) -> Verdict:
    """Whether the rows are separable, from what the solvers found in this norm and find in l2 on equilibrated rows."""

    def solver(name: str) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        def solve(V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            l2 = Bounds(torch.from_numpy(V), "l2")
            SOLVERS[name](l2, 1e-10)
            return l2.w.numpy(), l2.p.numpy()

        return solve

    Z, w, p = (t.cpu().numpy() for t in (bounds.Z, bounds.w, bounds.p))
    return decide(Z, w, p, [solver(name) for name in METHODS["l2"]])


def _daqp(bounds: Bounds, tol: float) -> Report:
    U, c = unit_rows(bounds.Z, 2.0)
    for w, lam in least_distance(U.cpu().numpy(), c.cpu().numpy()):
        bounds.offer(torch.from_numpy(w).to(c.device), torch.from_numpy(lam).to(c.device) * c)
        if bounds.settled(tol):
            break
    return Report("limit")


def _proximal(bounds: Bounds, tol: float) -> Report:
    U, c = unit_rows(bounds.Z, 2.0)
    # the bounds are evaluated again from w and p, and must still be below tol
    out = proximal_point(U, c, tol / 2)
    bounds.offer(out.w, None if out.lam is None else out.lam * c)
    return Report(out.status, out.products)


def _highs(bounds: Bounds, tol: float) -> Report:
    U, c = unit_rows(bounds.Z, math.inf)
    for w, lam in margin_pairs(U.cpu().numpy(), c.cpu().numpy(), bounds.norm):
        bounds.offer(torch.from_numpy(w).to(c.device), torch.from_numpy(lam).to(c.device) * c)
        if bounds.settled(tol):
            break
    return Report("limit")


# The solvers of each norm, the one that is expected to be faster first: what auto tries in turn.
METHODS = {"l1": ("highs",), "l2": ("daqp", "proximal"), "linf": ("highs",)}
SOLVERS: dict[str, Callable[[Bounds, float], Report]] = {
    "daqp": _daqp,
    "proximal": _proximal,
    "highs": _highs,
}
